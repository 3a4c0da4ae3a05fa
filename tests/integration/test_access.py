"""Addresses, names, users and their rights: what is refused is told by its name, and followed once it is allowed."""

import os

import pytest

from kit.wait import until

PASSWORD = "a secret of the test"


def login(lab, server, rights, side):
    """Options of a link that logs in as a user with these rights."""
    path = f"{lab.folder}/password-{side}"
    with open(path, "w", encoding="ascii") as file:
        file.write(PASSWORD)
    server.call("ACL", "SETUSER", "riot", "on", f">{PASSWORD}", "~*", *(["&*"] if server.version >= (6, 2) else []), "+@all", *rights)
    return {f"{side}__password_file": path}


@pytest.fixture
def tcp(lab):
    lab.source = lab.server("source", tcp=True).start()
    lab.target = lab.server("target", tcp=True).start()
    return lab


def told(riotd, *words):
    """Waits until the status says all the words, in conditions, blockers or reason."""
    def says(status):
        text = " ".join(map(str, (status["conditions"], status["blockers"], status.get("reason"))))
        return all(word in text for word in words)
    return riotd.wait_for(says, 20, f"{words} in the status")


def test_tcp_by_address_and_by_name(tcp):
    tcp.source.call("SET", "k", "v")
    riotd = tcp.live(f"redis://localhost:{tcp.source.port}", f"redis://127.0.0.1:{tcp.target.port}")
    tcp.source.call("SET", "k2", "v")
    tcp.equal(riotd, at_least=2)


def test_a_name_that_does_not_resolve_is_told_and_tried_again(lab):
    riotd = lab.link("redis://no-such-host.invalid:6379", lab.target)
    told(riotd, "does not resolve")
    assert riotd.state == "connecting"


def test_a_port_where_nobody_listens_is_told(tcp):
    port = tcp.source.port
    tcp.source.call("SET", "k", "v")
    tcp.source.save()
    tcp.source.stop()
    riotd = tcp.link(f"redis://127.0.0.1:{port}", tcp.target)
    told(riotd, "refused")
    tcp.source.start()
    riotd.wait("live")
    tcp.equal(riotd, at_least=1)


def test_users_on_both_sides(tcp):
    tcp.source.call("SET", "k", "v")
    riotd = tcp.live(tcp.source.tcp_url(user="riot"), tcp.target.tcp_url(user="riot"), **login(tcp, tcp.source, [], "source"),
                     **login(tcp, tcp.target, [], "target"))
    tcp.source.call("DEL", "k")
    tcp.source.call("SET", "k2", "v")
    tcp.equal(riotd, at_least=1)


def test_a_server_that_wants_a_password_is_told(lab):
    lab.source = lab.server("source", args=["--requirepass", "x"])
    lab.source.start(wait=False)
    riotd = lab.link(lab.source, lab.target)
    told(riotd, "NOAUTH")


def test_a_password_without_a_user_and_another_one_from_the_next_start(lab):
    """requirepass: AUTH with a password alone. It is changed on the server and in the file: a restart goes on by itself."""
    lab.source = lab.server("source", args=["--requirepass", "first"])
    lab.source.auth = "default", "first"
    lab.source.start()
    lab.source.call("SET", "k", "v")
    path = os.path.join(lab.folder, "password")

    def write(password):
        with open(path, "w", encoding="ascii") as file:
            file.write(password + "\n")

    write("first")
    riotd = lab.live(source__password_file=path)
    lab.source.call("CONFIG", "SET", "requirepass", "second")
    lab.source.auth = "default", "second"
    write("second")
    lab.source.kill_riotd_clients()
    told(riotd, "WRONGPASS")
    lab.source.call("SET", "k2", "v")
    lab.source.call("DEL", "k")
    riotd.restart().wait("live")
    lab.equal(riotd, at_least=1)
    assert lab.target.redis().keys() == [b"k2"]


@pytest.mark.parametrize("command", ["dump", "scan"])
def test_a_source_that_refuses_a_command_is_told_and_followed_once_it_is_allowed(tcp, command):
    tcp.source.call("RPUSH", "k", "v")
    riotd = tcp.link(tcp.source.tcp_url(user="riot"), tcp.target, **login(tcp, tcp.source, [f"-{command}"], "source"))
    told(riotd, f"NOPERM for {command.upper()} on the source as user riot", command)
    assert riotd.status()["totals"]["failed_keys"] == 0
    tcp.source.call("ACL", "SETUSER", "riot", f"+{command}")
    riotd.wait("live")
    tcp.equal(riotd, at_least=1)


@pytest.mark.parametrize("command", ["restore", "unlink"])
def test_a_target_that_refuses_a_command_is_told_and_followed_once_it_is_allowed(tcp, command):
    tcp.source.call("RPUSH", "stays", "v")
    tcp.source.call("RPUSH", "goes", "v")
    riotd = tcp.link(tcp.source, tcp.target.tcp_url(user="riot"), **login(tcp, tcp.target, [f"-{command}", "-del"], "target"))
    if command == "unlink":
        riotd.wait("live")
        tcp.source.call("DEL", "goes")
    told(riotd, "NOPERM")
    assert riotd.status()["totals"]["failed_keys"] == 0
    tcp.target.call("ACL", "SETUSER", "riot", f"+{command}", "+del")
    riotd.wait("live")
    tcp.equal(riotd, at_least=1)


def test_keys_that_the_target_s_user_may_not_touch_are_named(tcp):
    options = login(tcp, tcp.target, ["resetkeys", "~open:*"], "target")
    tcp.source.call("SET", "open:1", "v")
    tcp.source.call("SET", "closed:1", "v")
    riotd = tcp.link(tcp.source, tcp.target.tcp_url(user="riot"), **options)
    until(lambda: tcp.target.redis().exists("open:1"), 10)
    status = riotd.wait_for(lambda s: s["conditions"] or s["blockers"], what="a word about it")
    assert "NOPERM" in str(status) or "closed:1" in str(status)
    tcp.target.call("ACL", "SETUSER", "riot", "~*")
    riotd.wait("live", 90)
    tcp.equal(riotd, at_least=2)


def test_a_link_works_where_client_kill_and_list_are_refused(tcp):
    """Without them a lost connection cannot be proved dead: what was outstanding is copied again later. A warning says so."""
    rights = ["-client|kill", "-client|list"] if tcp.target.version >= (7, 0) else []
    if not rights:
        pytest.skip("no rights for single subcommands before 7.0")
    tcp.source.call("SET", "k", "v")
    riotd = tcp.live(tcp.source, tcp.target.tcp_url(user="riot"), **login(tcp, tcp.target, rights, "target"), target__timeout="1s")
    tcp.target.kill_riotd_clients()
    tcp.source.call("SET", "k", "w")
    tcp.equal(riotd, at_least=1)
    assert "CLIENT" in riotd.log()


def test_a_password_file_may_be_private(tcp):
    options = login(tcp, tcp.source, [], "source")
    os.chmod(options["source__password_file"], 0o400)
    tcp.live(tcp.source.tcp_url(user="riot"), tcp.target, **options)
