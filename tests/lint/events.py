#!/usr/bin/python3
"""The tables of the journal are as the code uses them: each event that the library or the daemon says has a row, and each row is said by
somebody; each field is of the kind that its row tells, and each row is used.
"""

import glob
import re
import sys

ROW = re.compile(r'\[EVENT_([A-Z_]+)\] = \{"([a-z_]+)"')
FIELD_ROW = re.compile(r'\[FIELD_([A-Z_]+)\]\s*=\s*\{"RIOT_([A-Z_]+)",\s*(true|false)')
SAID = re.compile(r'sink_say\((?:[^",;]|"[^"]*"\s*,\s*"|\([^()]*\))*?,\s*SINK_[A-Z]+,\s*([^,]+),')
USED = re.compile(r"\bEVENT_([A-Z_]+)\b")
FACT = re.compile(r"\bLOG_(TEXT|NUMBER)\(\s*([A-Z_]+)\s*,")
# Put on each line by the log itself; or told by a number of its own.
BY_THE_LOG = {"LINK", "STATE", "EVENT"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sources(*rooms):
    return [path for room in rooms for path in sorted(glob.glob(f"{room}/**/*.c", recursive=True))]


def events():
    rows = dict(ROW.findall(read("daemon/events.c")))
    used, wrong = set(), []
    for path in sources("lib", "daemon"):
        text = read(path)
        if path != "daemon/events.c":
            used |= set(USED.findall(text))
        for name in SAID.findall(text):
            name = name.strip().strip('"')
            if name not in rows.values():
                wrong.append(f"{path}: says {name}, which daemon/events.c does not have")
            used |= {key for key, value in rows.items() if value == name}
        if text.count("sink_say(") - len(SAID.findall(text)) > (path == "lib/core/sink.c"):
            wrong.append(f"{path}: the event of a sink_say() is not understood")
    return wrong + [f"daemon/events.c: nobody says {name}" for key, name in rows.items() if key not in used]


def fields():
    rows = {key: kind == "true" for key, _, kind in FIELD_ROW.findall(read("daemon/log_fields.c"))}
    used, wrong = set(BY_THE_LOG), []
    for path in sources("daemon"):
        for kind, key in FACT.findall(read(path)):
            used.add(key)
            if key in rows and rows[key] != (kind == "NUMBER"):
                wrong.append(f"{path}: LOG_{kind}({key}) is of the other kind in daemon/log_fields.c")
    return wrong + [f"daemon/log_fields.c: nobody tells {key}" for key in rows if key not in used]


def main():
    wrong = events() + fields()
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
