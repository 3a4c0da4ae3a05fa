"""reload, by riotctl and by SIGHUP: all of the configuration is taken or nothing, and each change is told."""

import json
import os
import signal

import pytest

from kit.wait import until


def by_riotctl(riotd):
    riotd.ctl("reload")


def by_signal(riotd):
    riotd.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("reload", [by_riotctl, by_signal])
def test_what_can_hold_now_holds_and_the_rest_is_told(lab, reload):
    riotd = lab.live(feed="tracking")
    riotd.options.update({"limits.keys_per_s": 7000, "log.level": "debug", "scan.count": 50})
    riotd.write_config()
    reload(riotd)
    riotd.wait_log("option_changed: limits.keys_per_s: 7000 instead of 0, from now")
    riotd.wait_log("option_changed: scan.count: 50 instead of 1000, from the next start of riotd")
    riotd.wait_log("reloaded: ")
    assert json.loads(riotd.must("limit", "--json"))["keys_per_s"] == 7000
    options = {o["name"]: o.get("value") for o in json.loads(riotd.must("config", "--json"))["options"]}
    assert (options["log.level"], options["scan.count"]) == ("debug", "1000")
    assert riotd.state == "live"
    riotd.restart()
    options = {o["name"]: o.get("value") for o in json.loads(riotd.must("config", "--json"))["options"]}
    assert options["scan.count"] == "50"


def test_riotctl_shows_the_changes(lab):
    riotd = lab.live(feed="tracking")
    assert riotd.must("reload") == "Nothing in the configuration has changed.\n"
    riotd.options.update({"limits.keys_per_s": 7000, "databases": [0, 1]})
    riotd.write_config()
    lines = [line.split() for line in riotd.must("reload").splitlines()]
    assert lines[0] == ["OPTION", "BEFORE", "AFTER", "HOLDS"]
    assert lines[1:] == [["databases", "all", "[0,", "1]", "from", "the", "next", "start", "of", "riotd"],
                         ["limits.keys_per_s", "0", "7000", "now"]]
    # What waits is told until it holds.
    assert json.loads(riotd.must("reload", "--json"))["changes"] == [
        {"option": "databases", "before": "all", "after": "[0, 1]", "holds": "next_start"}]


@pytest.mark.parametrize("reload", [by_riotctl, by_signal])
def test_a_bad_file_changes_nothing(lab, reload):
    riotd = lab.live(feed="tracking")
    before = riotd.must("config", "--json")
    with open(riotd.config, "a", encoding="utf-8") as file:
        file.write("limits:\n  keys_per_s: 9\n  memori: 1GiB\nlog:\n  level: loud\n")
    reload(riotd)
    riotd.wait_log("the configuration was not reloaded: the one before holds on")
    log = riotd.log()
    assert "config_error: " in log and "limits.memori" in log and "log.level" in log
    assert riotd.must("config", "--json") == before
    assert riotd.state == "live"


def test_a_refused_reload_says_why(lab):
    riotd = lab.live(feed="tracking")
    with open(riotd.config, "a", encoding="utf-8") as file:
        file.write("scan:\n  count: none\n")
    done = riotd.ctl("reload")
    assert done.returncode == 6
    assert os.path.basename(riotd.config) in done.stderr and "scan.count" in done.stderr and "nothing was changed" in done.stderr
    os.unlink(riotd.config)
    done = riotd.ctl("reload")
    assert done.returncode == 6 and "No such file" in done.stderr
    riotd.write_config()
    riotd.must("reload")


def test_a_changed_password_file_is_told_and_a_missing_one_refused(lab, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("before\n", encoding="utf-8")
    secret.chmod(0o600)
    lab.source.call("CONFIG", "SET", "requirepass", "before")
    riotd = lab.link(feed="tracking", source__password_file=str(secret))
    riotd.wait("live")
    secret.write_text("after-it\n", encoding="utf-8")
    assert "(another one)" in riotd.must("reload")
    secret.unlink()
    done = riotd.ctl("reload")
    assert done.returncode == 6 and "source.password_file" in done.stderr
    assert "after-it" not in riotd.log() and "before\n" not in riotd.log()


def test_limits_set_by_hand_end_with_a_reload(lab):
    riotd = lab.live(feed="tracking")
    riotd.must("limit", "keys_per_s=5")
    riotd.must("reload")
    until(lambda: json.loads(riotd.must("limit", "--json"))["keys_per_s"] == 0, 5, "the limit of the file")
