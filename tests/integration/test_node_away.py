"""A node of a cluster that is away is named wherever a person looks; and other things that must not be passed over in silence."""

import pytest

from kit.cutover import FAST, fence_args, fill
from kit.wait import until


def told(link, code):
    """What the condition says; "" where there is none."""
    return next((c["message"] for c in link.status()["conditions"] if c["code"] == code), "")


def dry_run(link):
    return link.ctl("cutover", "--dry-run", *fence_args("min-replicas"))


def named_in_status(link, node):
    """On the main screen, which is whole in a pipe."""
    screen = link.ctl("status").stdout
    return f"127.0.0.1:{node.port}" in screen and "..." not in screen and "\N{HORIZONTAL ELLIPSIS}" not in screen


def test_a_node_of_the_target_is_named(lab):
    lab.target = lab.cluster("target", primaries=2)
    fill(lab.source)
    link = lab.live()
    assert dry_run(link).returncode == 0
    node = lab.target.nodes[1]
    node.stop()
    address = f"127.0.0.1:{node.port}"
    until(lambda: address in told(link, "target_down"), 10, "the condition that names it")
    assert named_in_status(link, node)
    asked = dry_run(link)
    assert asked.returncode == 6 and address in asked.stdout + asked.stderr, "a cutover could begin without it"
    link.must("verify", "--no-wait")
    until(lambda: any("waits: target: " in o["text"] and address in o["text"] for o in link.status()["operations"]), 10,
          "the node that verify waits for")
    link.must("verify", "--stop")
    node.start()
    until(lambda: not told(link, "target_down"), 20, "its return")


@pytest.mark.long
def test_verify_gives_up_a_node_that_does_not_come_back(lab):
    lab.target = lab.cluster("target", primaries=2)
    fill(lab.source)
    link = lab.live()
    node = lab.target.nodes[0]
    node.stop()
    done = link.ctl("verify")
    assert done.returncode == 11 and f"127.0.0.1:{node.port}" in done.stdout + done.stderr
    assert "did not come back for 30 s" in done.stdout + done.stderr
    node.start()


@pytest.mark.parametrize("which", [0, 1])
def test_a_node_of_the_source_is_named(lab, which):
    lab.source = lab.cluster("source", primaries=2)
    fill(lab.source)
    link = lab.live()
    node = lab.source.nodes[which]
    node.stop()
    until(lambda: f"127.0.0.1:{node.port}" in told(link, "source_down"), 10, "the condition that names it")
    assert named_in_status(link, node)


def test_a_filter_that_leaves_nothing_is_told(lab):
    fill(lab.source)
    link = lab.live(filter__include=["nothing:*"])
    until(lambda: "filter leaves none of the " in told(link, "out_of_scope"), 10, "the condition")
    link.wait_log("filter leaves none")
    lab.source.call("SET", "nothing:1", "something")
    until(lambda: not told(link, "out_of_scope"), 10, "the end of it")


@pytest.mark.long
def test_finish_names_what_stays_fenced(lab):
    lab.source = lab.cluster("source", primaries=2)
    fill(lab.source)
    link = lab.live()
    link.must("cutover", *FAST, *fence_args("min-replicas"))
    gone, there = lab.source.nodes
    gone.stop()
    done = link.ctl("finish", "--unfence")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and f"127.0.0.1:{gone.port}" in said and "still fenced" in said
    assert f"127.0.0.1:{there.port}" not in said and "finish --unfence" in said
    gone.start()
    until(lambda: link.ctl("finish", "--unfence").returncode == 0, 30, "the end of it")
