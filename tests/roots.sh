# shellcheck shell=bash
# roots.sh: to be sourced by scripts that try something in fresh Debian roots. Such a script says in $work where the roots may stand,
# defines try_suite SUITE ROOT, which finds a clone of this repository's HEAD at ROOT/root/riotd, and ends with
# `each_suite "$@"`: with the names of the suites, or bookworm and trixie. mirror_of_this_machine is of use to others too.
#
# Needs root and debootstrap. Packages come from where this machine takes its own. A root is removed after; $work/SUITE.log has the
# whole of what was printed.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$0" .sh)

say()
{
    printf '\n=== %s\n' "$*"
}

die()
{
    local code=$1
    shift
    echo "$script: $*" >&2
    exit "$code"
}

# The mirror that this machine uses for Debian itself: of those that have the base system, the first.
mirror_of_this_machine()
{
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE) $(LABEL)' 'Created-By: Packages' 2> /dev/null |
        awk '$2 == "Debian" && !found { print $1; found = 1 }'
}

# How this machine reaches its mirrors: apt's settings of transport and checks, names, certificates.
settings_of_this_machine()
{
    local root=$1 suite=$2 mirror=$3
    apt-config dump | grep -E '^Acquire::(https?|Check)' > "$root/etc/apt/apt.conf.d/90this-machine" || true
    printf 'deb %s %s main\n' "$mirror" "$suite" > "$root/etc/apt/sources.list"
    rm -f "$root"/etc/apt/sources.list.d/*
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    mkdir -p "$root/usr/local/share/ca-certificates"
    [ ! -d /usr/local/share/ca-certificates ] ||
        cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates > /dev/null 2>&1
}

make_root()
{
    local root=$1 suite=$2 mirror
    mirror=$(mirror_of_this_machine)
    [ -n "$mirror" ] || die 69 'apt of this machine knows no mirror of Debian; apt-get update may help'
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" "$mirror" > "$root.debootstrap.log" 2>&1 || {
        tail -n 20 "$root.debootstrap.log"
        return 1
    }
    settings_of_this_machine "$root" "$suite" "$mirror"
    mount -t proc proc "$root/proc"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
}

in_root()
{
    local root=$1
    shift
    env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
        chroot "$root" "$@"
}

# With mounts and processes of its own: all of them end with it, and nobody else sees them.
inside()
{
    local suite=$1 root=$work/$1 begin=$SECONDS
    mount -t proc proc /proc
    say "$suite: making a root"
    make_root "$root" "$suite"
    git clone -q --no-local "$top" "$root/root/riotd"
    echo "$suite: commit $(git -C "$root/root/riotd" rev-parse --short HEAD), root made in $((SECONDS - begin)) s"
    try_suite "$suite" "$root"
}

each_suite()
{
    local suites=("$@") failed=() suite tool begin
    if [ "${1:-}" = --inside ]; then
        inside "$2"
        return
    fi
    [ "$(id -u)" = 0 ] || die 77 'only root may make and enter another root'
    for tool in debootstrap unshare; do
        command -v "$tool" > /dev/null || die 69 "needs $tool"
    done
    [ $# -gt 0 ] || suites=(bookworm trixie)
    mkdir -p "$work"
    for suite in "${suites[@]}"; do
        begin=$SECONDS
        if unshare --mount --propagation private --pid --fork --kill-child "$0" --inside "$suite" 2>&1 | tee "$work/$suite.log"; then
            say "$suite: all well, $((SECONDS - begin)) s"
        else
            say "$suite: FAILED, $((SECONDS - begin)) s"
            failed+=("$suite")
        fi
        rm -rf --one-file-system "${work:?}/$suite"
    done
    [ ${#failed[@]} -eq 0 ] || die 1 "failed: ${failed[*]}"
    echo "$script: ${suites[*]}: all well"
}
