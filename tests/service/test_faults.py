"""What systemd does when riotd hangs, is killed or cannot run, and what becomes of the link."""

import re

from kit.acked import Acked
from kit.wait import until

NO_INPUT, CONFIG = "66", "78"  # sysexits(3)


def killed_under_load(box, source, target, orders, folder, kill, result):
    """The link comes back live, and nothing that was acknowledged meanwhile is missing."""
    orders.live()
    pid, cursor = orders.pid, box.cursor()
    writers = Acked(source, folder, writers=2, rate=500)
    with writers:
        until(lambda: writers.acknowledged > 100, what="writes")
        kill(orders)
        box.wait_for(f"Failed with result '{result}'", "_PID=1", f"UNIT={orders.unit}.service", after=cursor)
        orders.restarted(pid).wait("live")
        at = writers.acknowledged
        until(lambda: writers.acknowledged > at + 100, what="writes after it")
    assert orders.show("NRestarts") == "1"
    orders.equal(at_least=100)
    verdict = writers.judge(target)
    assert not verdict.missing, str(verdict)


def test_a_hung_riotd_is_killed_by_the_watchdog_and_goes_on(box, source, target, link, tmp_path):
    orders = link().start()
    assert orders.show("WatchdogUSec") not in ("0", "infinity"), "the unit has no watchdog"
    orders.systemctl("stop")
    orders.drop_in("WatchdogSec=3s")
    killed_under_load(box, source, target, orders, str(tmp_path), lambda o: o.systemctl("kill", "--kill-who=main", "-s", "STOP"), "watchdog")


def test_a_killed_riotd_goes_on(box, source, target, link, tmp_path):
    killed_under_load(box, source, target, link(), str(tmp_path), lambda o: o.systemctl("kill", "--kill-who=main", "-s", "KILL"), "signal")


# --- what a restart cannot help


def stays_failed(box, orders, status, cursor):
    """The start fails, with this exit status, and is not tried again. Returns riotd's own lines."""
    assert orders.systemctl("start").returncode != 0
    # A restart that is to come is "activating" already, "auto-restart".
    assert (orders.show("ActiveState"), orders.show("SubState")) == ("failed", "failed")
    assert (orders.show("Result"), orders.show("ExecMainStatus"), orders.show("NRestarts")) == ("exit-code", status, "0")
    return [e["MESSAGE"] for e in box.journal(f"SYSLOG_IDENTIFIER=riotd-{orders.name}", after=cursor)]


def test_a_bad_configuration_stays_failed_and_is_told_with_its_place(box, link):
    orders, cursor = link(), box.cursor()
    orders.set(limits__memori="1GiB")
    lines = stays_failed(box, orders, CONFIG, cursor)
    assert any(re.search(r"/etc/riotd/orders\.yaml:\d+:\d+: .*limits\.memori", line) for line in lines), lines


def test_a_missing_credential_that_is_asked_for_stays_failed_and_is_told(box, link):
    orders, cursor = link(), box.cursor()
    box.must("rm", "/etc/riotd/orders.target")
    lines = stays_failed(box, orders, CONFIG, cursor)
    assert any("target.password_credential" in line and "/etc/riotd/orders.target" in line for line in lines), lines


def test_a_link_without_passwords_needs_no_credentials(box, source, target, link):
    orders = link(source__url=f"unix://{source.socket}", source__password_credential=None, target__url=f"unix://{target.socket}",
                  target__password_credential=None)
    box.must("rm", "/etc/riotd/orders.source", "/etc/riotd/orders.target")
    source.call("SET", "k", "v")
    orders.live().equal(at_least=1)


def test_a_link_without_a_file_stays_failed_and_is_told(box, link):
    orders, cursor = link(), box.cursor()
    box.must("rm", "/etc/riotd/orders.yaml")
    lines = stays_failed(box, orders, NO_INPUT, cursor)
    assert any("/etc/riotd/orders.yaml: No such file" in line for line in lines), lines


def test_a_new_password_holds_from_the_next_start(box, source, link):
    orders = link().live()
    source.call("ACL", "SETUSER", "riotd", "resetpass", ">another")
    box.put("/etc/riotd/orders.source", "another\n", "600")
    orders.systemctl("restart")
    orders.wait("live")
