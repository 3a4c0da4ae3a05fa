"""With the feed psync, what any command changes arrives: every case of kit/commands.py, in two databases, in each way to send it."""

import pytest

from kit.commands import BLOCKED, CASES, MODES, OTHER, WHOLE, Filler, Trial, cases
from kit.compare import functions_of
from kit.server import source_binary
from kit.wait import until


def touch(source):
    for db in (OTHER, 5, 0):
        source.call("INCR", "touched", db=db)


def with_psync(lab):
    """A live link, that no mark is in every database of, nor any database new to."""
    lab.source.give_backlog()
    touch(lab.source)
    riotd = lab.live(feed="psync")
    assert riotd.status()["feed"]["kind"] == "psync"
    touch(lab.source)
    lab.equal()
    return riotd


@pytest.mark.parametrize("mode", MODES)
def test_what_each_command_changes_arrives(lab, mode):
    source = lab.source
    filler = Filler(source, lab.server("peer", tcp=True).start())
    trials = [Trial(source, filler, case, mode, db, f"{db}:{i}:")
              for db in (0, 5) for i, case in enumerate(cases(CASES) + cases(BLOCKED))]
    trials = [trial for trial in trials if trial.set_up()]
    riotd = with_psync(lab)
    round_ = riotd.status()["snapshot"]["round"]
    # Of each key, no change but that of the command in question is marked.
    acted = [trial for trial in trials if trial.act() is None]
    assert len(acted) > 200, len(acted)
    assert lab.equal() > 100
    status = riotd.status()
    assert status["feed"]["gaps"] == 0 and status["snapshot"]["round"] == round_, status


@pytest.mark.parametrize("mode", ["plain", "multi", "eval"])
def test_what_changes_whole_databases_arrives(lab, mode):
    source = lab.source
    filler = Filler(source)
    with_psync(lab)
    with source.raw(5) as client:
        client.must([("SET", f"other{i}", i) for i in range(50)])
    for i, case in enumerate(cases(WHOLE)):
        source.call("SET", "before", i)
        if source.has("FUNCTION"):
            source.call("FUNCTION", "FLUSH")
        trial = Trial(source, filler, case, mode, 0, f"{i}:")
        if trial.set_up():
            lab.equal()
            trial.act()
        lab.equal()
        assert not source.has("FUNCTION") or functions_of(source) == functions_of(lab.target), case


def test_a_command_that_nobody_knows_is_a_gap(lab):
    """As where a command was renamed: it comes under that name, and COMMAND does not have it."""
    lab.source = lab.server("source", source_binary(), args=["--rename-command", "SET", "hidden"]).start()
    riotd = with_psync(lab)
    lab.source.call("hidden", "k", "v")
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, what="a gap")
    lab.equal(at_least=4)
    assert "hidden" in riotd.status()["feed"]["last_gap_reason"]

    def told():
        lab.source.call("hidden", "k", "w")
        return [line for line in riotd.log().splitlines() if "unknown_command" in line]

    assert "the command hidden" in until(told, 15, "it is told that nobody knows it")[0]
