"""The package: install, upgrade, remove, purge."""

import os
import re
import subprocess

from kit.acked import Acked
from kit.wait import until
from services import Link

# What a package leaves that is none of its own: the books of dpkg, systemd, and of who is a user.
BOOKS = re.compile(r"/var/lib/(dpkg|systemd)/|/var/(log|cache|tmp)/|/run/(systemd|log|lock|credentials|udev)|"
                   r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock)$")


def files(box):
    """All paths of the machine that a package could have made."""
    return {path for path in box.must("find", "/etc", "/usr", "/var", "/run", "/lib/", "-xdev").splitlines() if not BOOKS.match(path)}


def next_version(deb, folder):
    """The same package, of a higher version: the programs differ in their version alone, in place, so nothing is compiled."""
    before = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True).stdout.strip()
    after = f"{int(before[0]) + 1}{before[1:]}"
    tree, path = os.path.join(folder, "tree"), os.path.join(folder, f"riotd_{after}_next.deb")
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    for name in ("DEBIAN/control", "usr/sbin/riotd", "usr/bin/riotctl", "usr/lib/riotd/libriot.so"):
        with open(os.path.join(tree, name), "r+b") as file:
            content = file.read().replace(before.encode(), after.encode())
            file.seek(0)
            file.write(content)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, path], check=True, stdout=subprocess.DEVNULL)
    return after, path


def test_purge_leaves_nothing(bare, deb, source, target):
    """The first test of this file: nothing of riotd's has ever been on this machine."""
    before = files(bare)
    bare.install(deb)
    Link(bare, "orders", source, target).live()
    bare.must("systemctl", "enable", "-q", "riotd@orders", "riotd.target")
    bare.must("dpkg", "-P", "riotd")
    assert files(bare) - before == set()
    assert bare.run(["getent", "passwd", "riotd"]).returncode != 0 and bare.run(["getent", "group", "riotd"]).returncode != 0
    assert bare.must("systemctl", "list-units", "--all", "--no-legend", "riotd*") == ""


def test_what_is_installed(box):
    assert box.must("id", "-un", "riotd").strip() == "riotd"
    assert box.must("stat", "-c", "%A %U %G", "/etc/riotd").split() == ["drwxr-x---", "root", "riotd"]
    for page in ("riotd.8", "riotctl.1", "riotd.yaml.5"):
        assert os.path.basename(box.must("man", "-w", page).strip()).startswith(page), page
    assert box.must("systemd-analyze", "verify", "riotd@x.service", "riotd.target") == ""


def test_no_link_is_started_by_an_installation(box):
    assert box.must("systemctl", "list-units", "--no-legend", "riotd@*") == ""


def test_an_upgrade_keeps_going(box, deb, source, target, link, tmp_path):
    orders, stopped = link().live(), link("stopped")
    version, path = next_version(deb, str(tmp_path))
    assert version not in orders.must("version")
    pid = orders.pid
    writers = Acked(source, str(tmp_path), writers=2, rate=500)
    with writers:
        until(lambda: writers.acknowledged > 100, what="writes")
        box.install(path)
        orders.restarted(pid).wait("live")
        at = writers.acknowledged
        until(lambda: writers.acknowledged > at + 100, what="writes after it")
    assert orders.must("version").split() == ["riotctl", version, "riotd", version]
    assert (orders.show("NRestarts"), stopped.show("ActiveState")) == ("0", "inactive")
    orders.equal(at_least=100)
    verdict = writers.judge(target)
    assert not verdict.missing, str(verdict)


def test_remove_ends_the_links_and_keeps_what_is_the_operator_s(box, deb, source, link):
    box.install(deb)
    orders = link().live()
    box.must("systemctl", "enable", "-q", orders.unit)
    cursor = box.cursor()
    box.must("dpkg", "-r", "riotd")
    assert box.journal("RIOT_EVENT=stopped", after=cursor), "it was not stopped cleanly"
    assert box.run(["pgrep", "riotd"]).returncode != 0
    assert not [c for c in source.call("CLIENT", "LIST").decode().splitlines() if "name=riotd:" in c]
    box.must("ls", "/etc/riotd/orders.yaml", "/etc/riotd/orders.source", "/var/lib/riotd/orders/orders.json")
    # And goes on with it when it comes back.
    box.install(deb)
    source.call("SET", "after", "it")
    orders.live().equal(at_least=1)
