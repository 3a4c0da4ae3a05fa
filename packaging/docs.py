#!/usr/bin/python3
"""Writes what the documents take from the tables of the code: `make docs`; with --check only tells what is not current.

Some files are made as a whole. In the others stand markers, and what is between them is made:

    .\\" made: PART            <!-- made: PART -->
    ...                       ...
    .\\" end of PART           <!-- end of PART -->

PART is one of build/tables, which $RIOT_BUILD may name elsewhere; Markdown takes PART.md.
"""

import os
import re
import subprocess
import sys

TABLES = os.path.join(os.environ.get("RIOT_BUILD", "build"), "tables")
WHOLE = {"conf/riotd.yaml": "example", "packaging/journal/riotd.catalog": "catalog"}
MARKED = ["packaging/man/riotd.8", "packaging/man/riotctl.1", "packaging/man/riotd.yaml.5", "README.md"]
SECTION = re.compile(r'^(?P<open>\.\\"|<!--) made: (?P<part>\S+).*\n'
                     r'(?P<made>(?s:.*?))'
                     r'^(?P=open) end of (?P=part)\b', re.MULTILINE)


def made(part):
    """One part, as the tables are now."""
    return subprocess.run([TABLES, part], check=True, capture_output=True, text=True).stdout


def current(path, text):
    """The text of a file with markers as it should be."""
    suffix = ".md" if path.endswith(".md") else ""
    begun = len(re.findall(r'^(\.\\"|<!--) made: ', text, re.MULTILINE))
    if begun != len(SECTION.findall(text)):
        sys.exit(f"{path}: a marker 'made: PART' without its 'end of PART'")

    def replace(match):
        begin, end = (at - match.start() for at in match.span("made"))
        return match[0][:begin] + made(match["part"] + suffix) + match[0][end:]

    return SECTION.sub(replace, text)


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: docs.py [--check]")
    stale = 0
    for path in [*WHOLE, *MARKED]:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            text = ""
        wanted = made(WHOLE[path]) if path in WHOLE else current(path, text)
        if text == wanted:
            continue
        stale += 1
        print(f"{path}: not as the tables are; run: make docs" if check else f"{path}: written")
        if not check:
            with open(path, "w", encoding="utf-8") as file:
                file.write(wanted)
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
