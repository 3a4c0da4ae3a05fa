"""Completion in the shells themselves: each is given a line as if it were typed, and asked what it would be completed to."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from kit.process import die_with_parent
from kit.riot import TOP, program
from kit.wait import SCALE

SCRIPTS = os.path.join(TOP, "packaging", "completion")
# A key that puts all candidates into the line, and one that shows the line in marks and empties it.
BASH = rf"""
PS1='> '
bind 'set enable-bracketed-paste off'
source {SCRIPTS}/riotctl.bash
show() {{ printf '\n<<%s>>\n' "$READLINE_LINE"; READLINE_LINE=; }}
bind -x '"\C-t": show'
bind '"\C-a": insert-completions'
echo begun
"""
ZSH = rf"""
PS1='> '
fpath=({SCRIPTS} $fpath)
autoload -U compinit
compinit -D -u
zle -C all complete-word _generic
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' insert yes
show() {{ print -r -- $'\n'"<<$BUFFER>>"; BUFFER=; }}
zle -N show
bindkey '^T' show '^A' all
echo begun
"""


def environment(folder):
    env = {k: v for k, v in os.environ.items() if k not in ("RIOT_SOCKET", "BASH_ENV", "ENV", "ZDOTDIR", "FPATH")}
    path = f"{os.path.dirname(program('riotctl'))}:{env['PATH']}"
    return {**env, "PATH": path, "XDG_RUNTIME_DIR": folder, "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8", "COLUMNS": "500"}


class Typed:
    """A shell on a terminal."""

    def __init__(self, folder, argv, rc):
        path = os.path.join(folder, os.path.basename(argv[0]) + "-rc")
        with open(path, "w", encoding="utf-8") as file:
            file.write(rc)
        self.master, terminal = pty.openpty()
        self.shell = subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, cwd=folder, env=environment(folder),
                                      preexec_fn=die_with_parent, start_new_session=True)
        os.close(terminal)
        self.text = ""
        self.type(f"source {path}\r")
        self.read(r"^begun\r?$")

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, pattern):
        """Until the pattern was seen; what stood before it is gone."""
        end = time.monotonic() + 20 * SCALE
        while not (match := re.search(pattern, self.text, re.MULTILINE)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern} in {self.text!r}"
            self.text += os.read(self.master, 65536).decode(errors="replace")
        self.text = self.text[match.end():]
        return match

    def whole(self, line, key):
        """The line after the key."""
        self.type(line + key + "\x14")
        return self.read(r"^<<(.*)>>\r?$")[1]

    def candidates(self, line):
        head = line[:line.rfind(" ") + 1]
        whole = self.whole(line, "\x01")
        assert whole.startswith(head)
        return set(whole[len(head):].split())

    def close(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


class Bash(Typed):
    def __init__(self, folder):
        super().__init__(folder, ["bash", "--norc", "--noprofile", "-i"], BASH)


class Zsh(Typed):
    def __init__(self, folder):
        super().__init__(folder, ["zsh", "-f", "-i"], ZSH)


class Fish:
    """Tells candidates without a terminal."""

    def __init__(self, folder):
        self.folder = folder

    def candidates(self, line):
        script = f"source {SCRIPTS}/riotctl.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", script], env=environment(self.folder), cwd=self.folder, capture_output=True,
                              text=True, timeout=60 * SCALE, check=True)
        assert not done.stderr
        return {found.split("\t")[0] for found in done.stdout.splitlines()}

    def close(self):
        pass


SHELLS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


@pytest.fixture(params=SHELLS)
def shell(request, lab):
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param} here")
    begun = SHELLS[request.param](lab.folder)
    yield begun
    begun.close()


def link(lab, name):
    os.makedirs(f"{lab.folder}/riotd-{name}")
    return lab.link(name=name, control__socket=f"{lab.folder}/riotd-{name}/riotd.sock", autostart=False)


def test_names_of_links_are_those_that_run(lab, shell):
    link(lab, "orders")
    assert shell.candidates("riotctl -n ord") == {"orders"}
    other = link(lab, "invoices")
    assert shell.candidates("riotctl -n ") == {"orders", "invoices"}
    behind = {word.rpartition("=")[2] for word in shell.candidates("riotctl --name=")}  # bash writes --name= once
    assert behind == {"orders", "invoices"}
    other.stop()
    assert shell.candidates("riotctl pause -n ") == {"orders"}


def test_words_of_the_tables(shell):
    assert shell.candidates("riotctl st") == {"status", "start", "stop"}
    assert {"pause", "cutover", "help"} <= shell.candidates("riotctl help ")
    assert shell.candidates("riotctl wait --for ") == {"idle", "live", "drained", "verified", "committed", "finished"}
    assert shell.candidates("riotctl --json cutover --then true --fe") == {"--fence"}
    assert shell.candidates("riotctl cutover --fence=h") == {"--fence=hold"}
    assert shell.candidates("riotctl limit keys_per_s=3 byt") == {"bytes_per_s="}
    assert shell.candidates("riotd --existing-keys ") == {"refuse", "replace", "merge"}
    assert shell.candidates("riotd --check --state") == {"--state-dir"}


def test_names_of_files_are_the_shells(lab, shell):
    for name in ("alpha", "beta"):
        os.makedirs(f"{lab.folder}/socket-{name}")
    assert {word.rstrip("/") for word in shell.candidates("riotctl -s sock")} == {"socket-alpha", "socket-beta"}
    assert {word.rstrip("/") for word in shell.candidates("riotctl --socket=socket-a")} == {"--socket=socket-alpha"}
    assert {word.rstrip("/") for word in shell.candidates("riotd -c socket-b")} == {"socket-beta"}


def test_what_makes_no_sense_has_no_candidates(shell):
    for line in ("riotctl nonsense ", "riotctl cutover --max-lag-ms ", "riotctl limit memory=", "riotctl -n \"unclosed "):
        assert not shell.candidates(line) or shell.candidates(line) == {line.rpartition(" ")[2]}, line


@pytest.mark.parametrize("kind", ["bash", "zsh"])
def test_a_blank_follows_whole_words(kind, lab):
    if not shutil.which(kind):
        pytest.skip(f"no {kind} here")
    shell = SHELLS[kind](lab.folder)
    assert shell.whole("riotctl cuto", "\t") == "riotctl cutover "
    assert shell.whole("riotctl limit keys", "\t") == "riotctl limit keys_per_s="
    shell.close()
