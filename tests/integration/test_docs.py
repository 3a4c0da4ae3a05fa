"""What the documents tell people to type exists: verbs and flags, options, events, files, rights."""

import functools
import os
import re
import shlex
import subprocess

import pytest

from kit import rights
from kit.riot import TOP, program

PAGES = [f"packaging/man/{name}" for name in ("riotd.8", "riotctl.1", "riotd.yaml.5")]
DOCUMENTS = ["README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", *PAGES]
# Before a verb; those with a value.
WITH_VALUE = {"-n", "--name", "-s", "--socket", "--color"}
ANYWHERE = WITH_VALUE | {"--json", "--no-wait", "-h", "--help"}
ENDS = {"|", ";", "&&", "||", ">"}
OPTION = re.compile(r"(?<![\w./-])(source|target|filter|scan|limits|control|log)(\.[a-z_]+)+\b(?![\w(/])")
NO_OPTIONS = {"source.acl", "target.acl"}
# The access string of the README: what it is made of, and what ElastiCache takes away.
ACCESS, TAKEN_AWAY = ["every link", "feed tracking", "cutover"], {"+config|get", "+module|list"}


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


@functools.cache
def text_of(path):
    """As a reader sees it."""
    if path not in PAGES:
        return read(path)
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=400", os.path.join(TOP, path)], capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


def quoted(path):
    """Each command line of riotctl: on lines of their own, and between quotes."""
    text, indent = text_of(path), 10 if path in PAGES else 4
    yield from re.findall(rf"^ {{{indent},}}(riotctl .*)$", text, re.MULTILINE)
    yield from re.findall(r"[`‘](riotctl [^`’]*)[`’]", text)


@functools.cache
def flags_of(verb):
    """Those that its help tells, or None: there is no such verb."""
    done = subprocess.run([program("riotctl"), "help", verb], capture_output=True, text=True, check=False)
    return set(re.findall(r"--[a-z-]+", done.stdout)) if done.returncode == 0 else None


def wrong_in(command):
    """What riotctl would not take of it, or None."""
    words, verb = iter(shlex.split(command, comments=True)[1:]), None
    for word in words:
        if word in ENDS:
            break
        if word in ANYWHERE:
            if word in WITH_VALUE:
                next(words)
        elif verb is None:
            verb = word.rstrip(",;:.")
            if flags_of(verb) is None:
                return f"no verb {verb}"
        elif word.startswith("--") and word.partition("=")[0] not in flags_of(verb):
            return f"{verb} has no {word}"
    return None


@functools.cache
def options():
    """Of the configuration, by dotted path, with the sections that they stand in."""
    found, sections = set(), []
    for line in read("conf/riotd.yaml").splitlines():
        match = re.match(r"( *)#?([a-z_]+):( .*)?$", line)
        if match:
            sections = [*sections[:len(match[1]) // 2], match[2]]
            found.add(".".join(sections))
    return found


@pytest.mark.parametrize("path", DOCUMENTS)
def test_commands_exist(path):
    wrong = [(command, why) for command in quoted(path) if (why := wrong_in(command))]
    assert not wrong, wrong


def test_there_are_commands_to_look_at():
    assert len(list(quoted("README.md"))) > 20 and len(list(quoted(PAGES[1]))) > 10
    assert wrong_in("riotctl cutover --dry-run") is None
    assert wrong_in("riotctl cutover --no-such") and wrong_in("riotctl -n x no-such")


@pytest.mark.parametrize("path", DOCUMENTS)
def test_options_exist(path):
    assert {"feed", "limits.memory", "source.tls.verify"} <= options()
    named = {match[0] for match in OPTION.finditer(text_of(path))} - NO_OPTIONS
    assert not named - options(), named - options()


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path not in PAGES])
def test_files_and_events_exist(path):
    text = text_of(path)
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not os.path.exists(os.path.join(TOP, link))]
    assert not links, links
    events = [name for name in re.findall(r"RIOT_EVENT=([a-z_]+)", text) if not re.search(rf"^ +{name}\b", text_of(PAGES[0]), re.MULTILINE)]
    assert not events, events


def test_the_access_string_is_as_the_file_of_rights():
    line = next(line for line in read("README.md").splitlines() if line.startswith("    on ~* "))
    wanted = {rule for rule in rights.rules("source", (7, 0), ACCESS) if rule not in TAKEN_AWAY}
    assert set(line.split()) == wanted | {"on", "-@all"}
