"""The rights that riotd needs, from conf/source.acl and conf/target.acl: what the README shows is what the tests log in with."""

import os
import re

from kit.resp import RespError

CONF = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "conf")
USER, PASSWORD = "riotd", "of-riotd"
SECTION = re.compile(r"# --- (?P<name>[^:]+):")
VERSIONS = re.compile(r"# (?P<which>from|before) (?P<version>\d+\.\d+)")


class Line:
    """One command of the file: the rules that it gives, and the versions that it is for."""

    def __init__(self, section, since, before, words):
        assert words[:3] == ["ACL", "SETUSER", USER], words
        self.section, self.since, self.before, self.rules = section, since, before, words[3:]

    def is_for(self, version):
        return self.since <= version[:2] < self.before


def lines(side):
    """Those of conf/SIDE.acl. A `# --- part` holds until the next, `# from 7.0` and `# before 6.2` for the line below."""
    found, section, since, before = [], None, (0,), (99,)
    with open(os.path.join(CONF, f"{side}.acl"), encoding="ascii") as file:
        for text in file:
            begins, versions = SECTION.match(text), VERSIONS.match(text)
            if begins:
                section = begins["name"]
            elif versions:
                number = tuple(map(int, versions["version"].split(".")))
                since, before = (number, before) if versions["which"] == "from" else (since, number)
            elif text.startswith("ACL "):
                found.append(Line(section, since, before, text.split()))
                since, before = (0,), (99,)
    return found


def rules(side, version, sections=None):
    """The rules for a server of that version; of some sections only, if named."""
    return [rule for line in lines(side) if line.is_for(version) and (sections is None or line.section in sections) for rule in line.rules]


def add(server, side, sections=None, without=None):
    """Gives riotd's user there what the file of that side gives, a line at a time, as an operator would. An older server refuses the lines that
    are not for it. without: a rule that is left out."""
    with server.raw() as client:
        for line in lines(side):
            wanted = [rule for rule in line.rules if rule != without]
            if not wanted or (sections is not None and line.section not in sections):
                continue
            try:
                client.call("ACL", "SETUSER", USER, *wanted)
            except RespError as err:
                assert not line.is_for(server.version), f"{line.rules}: {err}"


def give(server, side, sections=None, without=None):
    """Makes riotd's user there, with these rights and no others. Returns the options of a link that logs in so."""
    path = os.path.join(server.folder, "riotd-password")
    with open(path, "w", encoding="ascii") as file:
        file.write(PASSWORD)
    server.call("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}")
    add(server, side, sections, without)
    return {f"{side}__password_file": path}
