#!/usr/bin/python3
"""Checks every #include of ours against tests/lint/includes, which says who may include whom."""

import glob
import os
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


class Table:
    """The rooms, the order of the files inside a room, and the homes of foreign headers."""

    def __init__(self, path):
        self.rooms, self.orders, self.homes = {}, {}, {}
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                line = line.split("#")[0].strip()
                if not line:
                    continue
                name, colon, rest = line.partition(":")
                if not colon:
                    sys.exit(f"{path}:{number}: no colon")
                if name.startswith("order "):
                    steps = [step.split() for step in rest.split(">")]
                    self.orders[name.split()[1]] = {m: rank for rank, step in enumerate(steps) for m in step}
                elif name.startswith("home "):
                    self.homes[name.split()[1]] = rest.split()
                else:
                    self.rooms[name] = [] if rest.split() == ["-"] else rest.split()

    def module(self, room, path):
        """The module of the room's order that a file belongs to: the longest name that fits, or None."""
        stem = os.path.splitext(os.path.basename(path))[0]
        fits = [m for m in self.orders[room] if stem == m or stem.startswith(m + "_")]
        return max(fits, key=len, default=None)

    def why_not(self, path, header):
        """Why `path` may not include the header of ours, or None."""
        room, other = os.path.dirname(path), os.path.dirname(header)
        if room not in self.rooms:
            return f"{room} has no line in the table"
        if other != room:
            allowed = self.rooms[room]
            return None if "*" in allowed or other in allowed else f"{room} may not include {other}"
        if room not in self.orders:
            return None
        mine, theirs = self.module(room, path), self.module(room, header)
        for module, where in ((mine, path), (theirs, header)):
            if module is None:
                return f"{where} stands nowhere in the order of {room}"
        order = self.orders[room]
        if mine == theirs or order[mine] < order[theirs]:
            return None
        return f"{mine} may not include {theirs}"

    def why_not_foreign(self, path, header):
        """The same for a header from outside: those with a home are included there only."""
        for prefix, homes in self.homes.items():
            if header.startswith(prefix) and not any(at_home(path, home) for home in homes):
                return f"<{header}> is at home in {', '.join(homes)} only"
        return None


def at_home(path, home):
    """A home that ends in / is a room; another is a module: HOME.c, HOME.h, HOME_*.c."""
    return path.startswith(home) if home.endswith("/") else os.path.splitext(path)[0] == home or path.startswith(home + "_")


def check(table, path):
    """Prints what is wrong in one file; returns how much it was."""
    wrong = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, header = match.groups()
            if quote == '"' and not os.path.exists(header):
                why = f'"{header}" is not a path from the top of the tree'
            else:
                why = table.why_not(path, header) if quote == '"' else table.why_not_foreign(path, header)
            if why:
                print(f"{path}:{number}: {why}")
                wrong += 1
    return wrong


def main():
    table = Table("tests/lint/includes")
    paths = [p for top in ("lib", "daemon", "ctl", "packaging", "tests") for p in glob.glob(f"{top}/**/*.[ch]", recursive=True)]
    if not paths:
        sys.exit("includes.py: no files; run it at the top of the tree")
    wrong = sum(check(table, path) for path in sorted(paths))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
