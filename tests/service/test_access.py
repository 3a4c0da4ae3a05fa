"""Several links on one machine, and who may do what with them."""

import json

import pytest

from services import Redis

DENIED = 4  # riotctl's exit code


def states(box):
    """What `riotctl list` shows: {name: state}."""
    return {row["name"]: row.get("status", {}).get("state") for row in json.loads(box.must("riotctl", "list", "--json"))["links"]}


@pytest.fixture
def two(box, link):
    """Two links that are live, of one source to two targets."""
    return link("orders").live(), link("users-2", to=Redis(box, "second", 7003, "target").begin()).live()


def test_two_links_side_by_side(box, source, two):
    source.call("SET", "k", "v")
    for each in two:
        each.equal(at_least=1)
    table = box.must("riotctl", "list")
    rows = {line.split()[0]: line.split() for line in table.splitlines()}
    for each in two:
        assert rows[each.name][1:4] == ["live", "0", "keys,"], table
        units = {entry.get("UNIT", entry["_SYSTEMD_UNIT"]) for entry in box.journal(f"RIOT_LINK={each.name}")}
        assert units == {f"{each.unit}.service"}


def test_the_target_takes_all_links(box, two):
    orders, users = two
    pids = {each: each.pid for each in two}
    box.must("systemctl", "restart", "riotd.target")
    for each in two:
        each.restarted(pids[each]).wait("live")
    box.must("systemctl", "stop", "riotd.target")
    assert [each.show("ActiveState") for each in two] == ["inactive", "inactive"] and states(box) == {}
    # It starts those that are enabled, as a boot does.
    box.must("systemctl", "enable", "-q", orders.unit)
    box.must("systemctl", "start", "riotd.target")
    orders.wait("live")
    assert users.show("ActiveState") == "inactive" and states(box) == {"orders": "live"}


def test_links_of_a_template_do_not_share_folders(box, two):
    for each in two:
        assert box.must("ls", f"/run/riotd-{each.name}").split() == ["riotd.sock"]
        assert f"{each.name}.json" in box.must("ls", f"/var/lib/riotd/{each.name}").split()


# --- users


@pytest.fixture(scope="module")
def users(box):
    """alice is in the group riotd, mallory is not."""
    box.must("useradd", "-G", "riotd", "alice")
    box.must("useradd", "mallory")


def test_a_member_of_the_group_may_steer_and_the_journal_names_her(box, users, link):
    orders, cursor = link().live(), box.cursor()
    uid = box.must("id", "-u", "alice").strip()
    assert orders.ctl("pause", user="alice").returncode == 0
    assert orders.status()["state"] == "paused"
    command = box.wait_for("pause", "RIOT_EVENT=command", after=cursor)
    assert command["RIOT_PEER_UID"] == uid and uid in command["MESSAGE"]
    orders.must("resume")
    assert box.wait_for("resume", "RIOT_EVENT=command", after=cursor)["RIOT_PEER_UID"] == "0"


def test_others_may_not_even_look(box, users, link):
    orders, cursor = link().live(), box.cursor()
    for args in (["status"], ["pause"], ["stop"], ["cutover"], ["version"]):
        done = orders.ctl(*args, user="mallory")
        assert done.returncode == DENIED and "permission" in done.stderr.lower(), (args, done)
    assert "no permission" in box.run(["riotctl", "list"], user="mallory").stdout
    for path in ("/etc/riotd/orders.yaml", "/etc/riotd/orders.source", "/var/lib/riotd/orders/orders.json"):
        box.must("test", "-f", path)
        assert box.run(["cat", path], user="mallory").returncode != 0, path
    for path in ("/etc/riotd", "/run/riotd-orders", "/var/lib/riotd/orders"):
        assert box.run(["ls", path], user="mallory").returncode != 0, path
    assert box.run(["redis-cli", "-s", "/run/riotd-orders/riotd.sock", "STATUS"], user="mallory").returncode != 0
    assert orders.status()["state"] == "live" and not box.journal("RIOT_EVENT=command", after=cursor)


def test_passwords_are_root_s_alone(box, users, link):
    """riotd gets them from systemd; neither its user nor its group can read the files, and nothing shows them."""
    orders = link().live()
    for user in ("riotd", "alice"):
        for end in ("source", "target"):
            assert box.run(["cat", f"/etc/riotd/orders.{end}"], user=user).returncode != 0
    secrets = {server.password for server in (orders.source, orders.target)}
    shown = orders.must("config") + orders.must("config", "--json") + orders.must("status", "--json") + box.tell(lines="all") + \
        box.must("systemctl", "show", orders.unit) + box.must("cat", f"/proc/{orders.pid}/cmdline", f"/proc/{orders.pid}/environ")
    assert not [secret for secret in secrets if secret in shown]
