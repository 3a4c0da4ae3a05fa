"""The life of a link under systemd: start, migration, reload, stop."""

import json
import re
import time

import pytest

from kit.acked import Acked
from kit.compare import assert_equal
from kit.wait import SCALE, until

STOP_S = 5.0 * SCALE
NOT_RUNNING = 3  # riotctl's exit code


def fill(server, count):
    with server.raw() as client:
        client.must([("SET", f"before:{n}", n) for n in range(count)])


def test_a_migration_from_start_to_finish_loses_nothing(source, target, link, tmp_path):
    fill(source, 20_000)
    orders = link()
    writers = Acked(source, str(tmp_path), writers=4, rate=1000)
    with writers:
        orders.live()
        at = writers.acknowledged
        until(lambda: writers.acknowledged > at + 500, what="writes while live")
        orders.must("cutover")
        until(lambda: writers.refused, what="writers are refused")
    assert orders.status()["cutover"]["state"] == "committed"
    verdict = writers.judge(target)
    assert verdict.acknowledged > 500 and not verdict.missing, str(verdict)
    assert_equal(source, target, at_least=20_000)
    orders.must("finish")
    assert orders.status()["state"] == "finished"


def test_start_returns_when_it_answers(link):
    orders = link().start()
    assert orders.ctl("status").returncode == 0
    assert orders.show("ActiveState") == "active" and orders.show("Type") == "notify"


def test_a_start_does_not_wait_for_the_servers(box, source, link):
    """As after a boot at which Redis comes later."""
    orders = link()
    box.must("systemctl", "stop", source.unit)
    assert orders.start().status()["state"] == "connecting"
    source.begin().call("SET", "k", "v")
    orders.wait("live").equal(at_least=1)


def test_systemctl_status_says_how_far_it_is(source, link):
    fill(source, 5000)
    orders = link(limits__keys_per_s=1500)
    orders.start()
    progress = re.compile(r"snapshot \d+ %, [0-9.,]+k? keys/s, lag [0-9.]+ ?m?s$")
    until(lambda: progress.match(orders.show("StatusText")), what="progress in the status text")
    assert "Status: \"snapshot " in orders.systemctl("status").stdout
    orders.wait("live")
    until(lambda: re.match(r"live, [0-9.,]+k? keys/s, lag ", orders.show("StatusText")), what="live in the status text")


# --- reload


def by_systemctl(orders):
    return orders.systemctl("reload")


def by_signal(orders):
    return orders.systemctl("kill", "--kill-who=main", "-s", "HUP")


@pytest.mark.parametrize("reload", [by_systemctl, by_signal])
def test_a_reload_takes_what_can_hold_now(box, link, reload):
    orders = link().live()
    pid, cursor = orders.pid, box.cursor()
    orders.set(limits__keys_per_s=4321, log__level="debug", scan__count=77)
    assert reload(orders).returncode == 0
    box.wait_for("the configuration was reloaded", "RIOT_EVENT=reloaded", after=cursor)
    changed = {e["RIOT_OPTION"]: (e["RIOT_AFTER"], e["RIOT_HOLDS"]) for e in box.journal("RIOT_EVENT=option_changed", after=cursor)}
    assert changed == {"limits.keys_per_s": ("4321", "now"), "log.level": ("debug", "now"), "scan.count": ("77", "next_start")}
    assert json.loads(orders.must("limit", "--json"))["keys_per_s"] == 4321
    assert orders.pid == pid and orders.status()["state"] == "live" and orders.show("ActiveState") == "active"


@pytest.mark.parametrize("reload, fails", [(by_systemctl, True), (by_signal, False)])
def test_a_reload_of_a_bad_file_changes_nothing_and_says_why(box, link, reload, fails):
    orders = link().live()
    pid, cursor, before = orders.pid, box.cursor(), orders.must("config", "--json")
    orders.set(limits__keys_per_s=4321, limits__memori="1GiB")
    assert (reload(orders).returncode != 0) == fails
    box.wait_for("was not reloaded", "RIOT_EVENT=reload_refused", after=cursor)
    errors = box.journal("RIOT_EVENT=config_error", after=cursor)
    assert any(re.search(r"/etc/riotd/orders\.yaml:\d+:\d+: .*limits\.memori", e["MESSAGE"]) for e in errors), errors
    if fails:  # riotctl, run by systemd, says so too
        assert any(e["MESSAGE"].startswith("riotctl: REFUSED: ") for e in box.journal("-u", orders.unit, after=cursor))
    assert orders.must("config", "--json") == before
    assert orders.pid == pid and orders.status()["state"] == "live" and orders.show("ActiveState") == "active"


# --- stop


def stop(orders):
    """Seconds that `systemctl stop` took."""
    begin = time.monotonic()
    assert orders.systemctl("stop").returncode == 0
    return time.monotonic() - begin


def test_stop_is_clean_and_a_look_starts_nothing(box, source, link, tmp_path):
    orders = link().live()
    with Acked(source, str(tmp_path), writers=2, rate=1000) as writers:
        until(lambda: writers.acknowledged > 100, what="writes")
        cursor = box.cursor()
        assert stop(orders) < STOP_S
    assert (orders.show("Result"), orders.show("ExecMainStatus")) == ("success", "0")
    assert box.journal("RIOT_EVENT=stopped", "-u", orders.unit, after=cursor)
    assert orders.ctl("status").returncode == NOT_RUNNING
    assert orders.ctl("wait", "--for", "live").returncode == NOT_RUNNING
    assert "orders" not in box.must("riotctl", "list")
    assert orders.show("ActiveState") == "inactive"
    assert not [c for c in source.call("CLIENT", "LIST").decode().splitlines() if "name=riotd:" in c]


@pytest.mark.parametrize("hung", ["source", "target"])
def test_stop_is_clean_when_a_server_hangs(source, target, link, hung):
    orders = link(feed="notify").live()
    server = {"source": source, "target": target}[hung]
    server.freeze()
    try:
        took = stop(orders)
    finally:
        server.thaw()
    assert took < STOP_S
    assert (orders.show("Result"), orders.show("ExecMainStatus")) == ("success", "0")
