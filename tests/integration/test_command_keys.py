"""What riotd takes for the keys of a command in the replication stream, against what the server says of the command, and what it changed."""

import pytest

from kit import commands
from kit.commands import BLOCKED, CASES, LEFT_OUT, MODES, WHOLE, Filler, Trial, cases
from kit.compare import Side
from kit.finder import Finder
from kit.replica import Replica
from kit.resp import RespError

ALL = cases(CASES) + cases(WHOLE)
BLOCKING = cases(BLOCKED)


def test_every_command_that_writes_is_in_the_table(lab):
    there = set().union(*(case.names for case in ALL))
    missing = commands.writing_commands(lab.source) - there - set(LEFT_OUT)
    # Before 7.0 a container has one row for all its subcommands.
    missing -= {name.partition("|")[0] for name in there if "|" in name}
    assert not missing, f"commands that write and of which no case is known: {sorted(missing)}"


def keys_told(client, words):
    """What the server says: (keys that it writes, all keys). None: it says that there are none, or does not know the command."""
    reply = client.pipeline([("COMMAND", "GETKEYSANDFLAGS", *words), ("COMMAND", "GETKEYS", *words)])
    if isinstance(reply[1], RespError):
        return None
    every = set(reply[1])
    return {key for key, flags in reply[0] if b"RO" not in flags} if isinstance(reply[0], list) else None, every


# The server says that XREADGROUP only reads the stream, but it changes the groups of it.
READS_AND_CHANGES = {"xreadgroup"}
# The stream has DEL in the place of the one; the other changes no key.
NOT_IN_THE_STREAM = {"migrate", "spublish"}


def test_keys_are_those_that_the_server_names(lab):
    source = lab.source
    finder, filler, known = Finder(source), Filler(source), commands.rows_of(source)
    compared = 0
    with source.raw() as client:
        for case in ALL + BLOCKING:
            words = filler.words(case.last_line, "k:")
            name = case.command.lower()
            told = keys_told(client, words) if name in known else None
            if told is None:
                continue
            found, kind = finder.keys_of(words)
            written, every = told
            if name in NOT_IN_THE_STREAM:
                continue
            assert kind == "keys", f"{case}: {kind}"
            if written is None or name in READS_AND_CHANGES:
                assert found and found <= every, f"{case}: {found}, the server says {every}"
            else:
                assert found == written, f"{case}: {found}, the server says {written}"
            compared += 1
    assert compared > 100


def test_what_is_not_built_in_is_learned(lab):
    """The server's own commands, under names that nobody knows, have the keys that the table gives them; or it is said that they are not known."""
    source = lab.source
    finder, stranger, filler = Finder(source), Finder(source, "x."), Filler(source)
    known, exact = commands.rows_of(source), source.version >= (7, 0)
    learned, others = 0, []
    for case in ALL + BLOCKING:
        words = filler.words(case.last_line, "k:")
        there = known.get(words[0].lower())
        if not there or (b"write" not in there[2] and words[0] != "XGROUP"):
            continue
        keys, kind = finder.keys_of(words)
        found, learned_kind = stranger.keys_of(["x." + words[0], *words[1:]])
        if learned_kind != "keys":
            assert learned_kind == "unknown", f"{case}: {learned_kind}"
            others += [case] if kind == "keys" else []
            continue
        learned += 1
        # Before 7.0 it is not told which keys are read only.
        assert kind == "keys" and (found == keys if exact else found >= keys), f"{case}: {found} learned, {keys} built in"
    assert learned > 100 and len(others) < 25, others


class State:
    """Every key of every database, as bytes."""

    def __init__(self, server):
        self.keys = {}
        absolute = server.has("PEXPIRETIME")
        with server.raw() as client:
            for db in Side(server).databases():
                client.select(db)
                names = sorted(client.keys())
                rows = client.pipeline([c for n in names for c in (("DUMP", n), ("PEXPIRETIME" if absolute else "PTTL", n))])
                for name, dump, expiry in zip(names, rows[0::2], rows[1::2]):
                    if dump is not None:
                        self.keys[db, name] = dump, expiry if absolute else expiry >= 0

    def changed(self, later):
        """Keys that are not the same there."""
        return {key for key in self.keys.keys() | later.keys.keys() if self.keys.get(key) != later.keys.get(key)}


class Follower:
    """Tries cases on a source, and keeps what each changed and where its part of the stream is."""

    def __init__(self, source, filler):
        self.source, self.filler = source, filler
        self.replica = Replica(source)
        self.tries = 0
        self.done = []  # (trial, changed keys, offset before, offset behind)

    def attempt(self, case, mode, db):
        self.tries += 1
        trial = Trial(self.source, self.filler, case, mode, db, f"{self.tries}:")
        if not trial.set_up():
            return
        before, begin = State(self.source), self.replica.catch_up()
        if trial.act() is None:
            after = State(self.source)
            self.done.append((trial, before.changed(after), begin, self.replica.catch_up()))

    def empty(self):
        with self.source.raw() as client:
            client.pipeline([("FLUSHALL",), ("FUNCTION", "FLUSH")])


def is_told(effects, key):
    return any(key in e.keys or key[0] in e.whole or e.kind == "flush_all" for e in effects)


def check(effects, trial, changed):
    """No change is untold, and no key is named that the command has nothing to do with. How many are named in vain."""
    assert not [e for e in effects if e.kind == "unknown"], f"{trial}: {effects}"
    untold = {key for key in changed if not is_told(effects, key)}
    assert not untold, f"{trial} changed {untold}, and the stream says {effects}"
    named = set().union(*(e.keys for e in effects))
    foreign = {key for key in named - changed if key[1] not in trial.keys}
    assert not foreign, f"{trial}: {foreign} of {effects}"
    return len(named - changed)


@pytest.mark.parametrize("mode", MODES)
def test_the_stream_names_what_changed(lab, mode):
    source = lab.source
    peer = lab.server("peer", tcp=True).start()
    follower, finder = Follower(source, Filler(source, peer)), Finder(source)
    for db in (0, 5):
        for case in ALL + BLOCKING:
            if follower.tries % 50 == 0 or "function" in case.names:
                follower.empty()
            follower.attempt(case, mode, db)
    effects = finder.effects(follower.replica.stream, follower.replica.base)
    surplus = 0
    for trial, changed, begin, behind in follower.done:
        surplus += check([e for e in effects if begin < e.offset <= behind], trial, changed)
    tried = set().union(*(trial.case.names for trial, *_ in follower.done))
    left = commands.writing_commands(source) - tried - set(LEFT_OUT)
    print(f"{len(follower.done)} trials, {surplus} keys named in vain; not tried: {sorted(left)}")
    assert mode != "plain" or not left, f"commands that no case could use: {sorted(left)}"
    assert len(follower.done) > 200
