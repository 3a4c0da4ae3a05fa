#!/bin/bash
# fresh.sh [SUITE...]: what the README promises, on machines that have nothing. In a root of each Debian suite (bookworm and trixie, if
# none is named) with git, make and certificates alone, runs `make demo` and `make check` in a clone of HEAD, and looks that
# the demo leaves nothing running and that a second `make deps` calls nobody.
# shellcheck source=tests/roots.sh
. "$(dirname "$0")/roots.sh"
work=$top/build/fresh

nothing_left_running()
{
    local root=$1 pid left=0
    for pid in /proc/[0-9]*; do
        [ "$(readlink "$pid/root")" = "$root" ] || continue
        echo "still running: $(tr '\0' ' ' < "$pid/cmdline")"
        left=1
    done
    return "$left"
}

# Installs again, where a package manager that is called fails.
nothing_called()
{
    local root=$1
    # shellcheck disable=SC2016 # for the inner shell
    in_root "$root" sh -c '
        dir=$(mktemp -d)
        for name in apt apt-get aptitude dpkg sudo systemctl service invoke-rc.d; do
            printf "#!/bin/sh\necho called: $0 \"\$@\" >&2\nexit 1\n" "$name" > "$dir/$name"
            chmod +x "$dir/$name"
        done
        PATH=$dir:$PATH make -s -C /root/riotd deps deps-check'
}

try_suite()
{
    local suite=$1 root=$2 step begin
    for step in demo check; do
        begin=$SECONDS
        say "$suite: make $step"
        in_root "$root" make -C /root/riotd "$step"
        nothing_left_running "$root"
        echo "$suite: make $step: ok, $((SECONDS - begin)) s"
    done
    nothing_called "$root"
    echo "$suite: make deps, nothing missing: nothing called"
}

each_suite "$@"
