#!/bin/bash
# fresh.sh [SUITE...]: what the README promises, on machines that have nothing: makes a root of Debian bookworm and of trixie with git,
# make and certificates alone (debootstrap), clones this repository's HEAD into each, and runs `make demo` and `make check`.
#
# Needs root and debootstrap. Packages come from where this machine takes its own. All is below build/fresh, and removed after.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
work=$top/build/fresh
suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie)
mounts=()

say()
{
    printf '\n=== %s\n' "$*"
}

unmount_all()
{
    local i
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        umount "${mounts[i]}" 2>/dev/null || umount -l "${mounts[i]}" || echo "fresh: still mounted: ${mounts[i]}" >&2
    done
    mounts=()
}
trap unmount_all EXIT

mount_into()
{
    local target=${*: -1}
    mkdir -p "$target"
    mount "$@"
    mounts+=("$target")
}

# The mirror that this machine uses for Debian itself.
mirror_of()
{
    local found
    # shellcheck disable=SC2016 # apt's own variable
    found=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -v security | sort | uniq -c |
        sort -rn | awk 'NR == 1 { print $2 }')
    echo "${found:-http://deb.debian.org/debian}"
}

# Settings of apt that lead to packages: proxies, certificates, credentials.
copy_apt_settings()
{
    local root=$1 suite=$2 mirror=$3 file
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*artifact* /etc/apt/auth.conf /etc/apt/auth.conf.d/*; do
        [ ! -f "$file" ] || install -D -m 644 "$file" "$root$file"
    done
    printf 'deb %s %s main\n' "$mirror" "$suite" > "$root/etc/apt/sources.list"
    rm -rf "$root"/etc/apt/sources.list.d/*
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/hosts "$root/etc/hosts"
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
}

make_root()
{
    local root=$1 suite=$2 mirror=$3
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" "$mirror" > "$root.debootstrap.log" 2>&1 || {
        tail -n 20 "$root.debootstrap.log"
        return 1
    }
    copy_apt_settings "$root" "$suite" "$mirror"
    chroot "$root" update-ca-certificates > /dev/null 2>&1
}

in_root()
{
    local root=$1
    shift
    env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} chroot "$root" "$@"
}

try_suite()
{
    local suite=$1 root=$work/$1 mirror
    mirror=$(mirror_of)
    say "$suite: making a root"
    make_root "$root" "$suite" "$mirror"
    mount_into -t proc proc "$root/proc"
    mount_into --bind /dev "$root/dev"
    mount_into -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
    mount_into -t tmpfs tmpfs "$root/tmp"
    mount_into -t tmpfs tmpfs "$root/run"
    git clone -q --no-local "$top" "$root/root/riotd"
    say "$suite: make demo"
    in_root "$root" make -C /root/riotd demo
    say "$suite: make check"
    in_root "$root" make -C /root/riotd check
    unmount_all
    rm -rf --one-file-system "$root"
}

[ "$(id -u)" = 0 ] || {
    echo 'fresh.sh: only root may make and enter another root' >&2
    exit 77
}
command -v debootstrap > /dev/null || {
    echo 'fresh.sh: needs debootstrap' >&2
    exit 69
}
failed=()
for suite in "${suites[@]}"; do
    begin=$SECONDS
    # In a shell of its own, which its first failure ends; not as a condition, where `set -e` would not count.
    set +e
    (
        set -e
        trap unmount_all EXIT
        try_suite "$suite"
    )
    code=$?
    set -e
    if [ "$code" -eq 0 ]; then
        say "$suite: all well, $((SECONDS - begin)) s"
    else
        say "$suite: FAILED"
        failed+=("$suite")
    fi
done
[ ${#failed[@]} -eq 0 ] || {
    echo "fresh: failed: ${failed[*]}"
    exit 1
}
echo "fresh: ${suites[*]}: the demo ran and the checks passed"
