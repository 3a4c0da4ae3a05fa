"""What a case found: the median of its rounds, their spread, and what that is beside the goal."""

import datetime
import json
import os
import platform

# Of JSON; a reader may count on these.
FIELDS = ("case", "set", "ratio", "goal", "spread", "unit")


class CannotRun(Exception):
    """A case cannot be run here; the text says why. That is told, and is no failure."""


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spread(values):
    """From the lowest to the highest."""
    return max(values) - min(values)


class Figure:
    """One row of the table. `unit` "" is a ratio. A goal is a least value, or with most=True a highest one."""

    def __init__(self, case, data, values, unit="", goal=None, most=False, note="", why=""):
        self.case, self.set, self.values, self.unit = case, data, list(values), unit
        self.goal, self.most, self.note, self.why = goal, most, note, why

    @property
    def ratio(self):
        return median(self.values) if self.values else None

    @property
    def verdict(self):
        """failed: it ended in an error. far below: under half of the goal (over twice, where less is better)."""
        if not self.values:
            return "failed" if self.note == "failed" else "not run"
        if self.goal is None:
            return ""
        share = (self.goal / self.ratio if self.ratio else 1.0) if self.most else self.ratio / self.goal
        return "reached" if share >= 1 else "below" if share >= 0.5 else "far below"

    def json(self):
        row = {"case": self.case, "set": self.set, "ratio": self.ratio, "goal": self.goal,
               "spread": spread(self.values) if self.values else None, "unit": self.unit or "ratio",
               "better": "less" if self.most else "more", "verdict": self.verdict, "values": self.values}
        row.update((name, text) for name, text in (("note", self.note), ("why", self.why)) if text)
        return row

    def cells(self):
        """As the text table has it."""
        if not self.values:
            return self.case, self.set, "-", "", "", f"{self.verdict}: {self.why}"
        goal = "" if self.goal is None else f"{'<=' if self.most else '>='} {number(self.goal)}"
        range_ = f"{number(min(self.values))} .. {number(max(self.values))}" if len(self.values) > 1 else ""
        figure = f"{number(self.ratio)} {self.unit}".strip()
        return self.case, self.set, figure, range_, goal, ", ".join(t for t in (self.verdict, self.note) if t)


def not_run(case, data, why):
    return Figure(case, data, [], why=why)


def failed(case, data, why):
    return Figure(case, data, [], note="failed", why=why)


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.095 or value == 0 else f"{value:.3f}"


HEAD = ("case", "set", "figure", "lowest .. highest", "goal", "")


def text_table(rows, head):
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown_table(rows, head):
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def machine():
    """What the figures were measured on."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) // 2**20
    return {"date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"), "cpu": model, "cores": len(os.sched_getaffinity(0)),
            "memory_gib": memory, "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2)}


def exit_code(figures):
    """1 under half of a goal, or where a case failed; what is merely below its goal is shown."""
    return 1 if any(f.verdict in ("far below", "failed") for f in figures) else 0


def document(about, figures, rates):
    return json.dumps({"machine": about, "cases": [f.json() for f in figures], "rates": rates}, indent=1)
