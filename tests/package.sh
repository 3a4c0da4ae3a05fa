#!/bin/bash
# package.sh [SUITE...]: in a fresh root of each Debian suite (bookworm and trixie, if none is named), `make deb` gives a package
# that lintian has nothing against, and the same bytes a second time; it installs, and a purge leaves nothing.
# shellcheck source=tests/roots.sh
. "$(dirname "$0")/roots.sh"
work=$top/build/check-deb

# What the package could leave behind; its own files and those of the packages that came with it are dpkg's matter.
traces()
{
    in_root "$1" sh -c 'find /etc/riotd* /etc/systemd/system /var/lib/riotd* /usr/*/*riot* /usr/share/*/*riot* | sort
                        getent passwd; getent group' 2> /dev/null || true
}

try_suite()
{
    local suite=$1 root=$2 built=/root/riotd/build/deb before sum
    say "$suite: make deb"
    in_root "$root" make -C /root/riotd deb
    sum=$(in_root "$root" sh -c "cd $built && sha256sum *.deb")
    echo "$suite: once more, for the same bytes"
    in_root "$root" make -C /root/riotd deb > /dev/null
    echo "$sum" | in_root "$root" sh -c "cd $built && sha256sum -c"
    mkdir -p "$work/$suite.debs"
    cp "$root$built"/*.deb "$work/$suite.debs/"

    say "$suite: install, purge"
    in_root "$root" apt-get install -q -y --no-install-recommends systemd
    before=$(traces "$root")
    in_root "$root" sh -c "apt-get install -q -y --no-install-recommends $built/riotd_*.deb && riotd --version && riotctl --version &&
                           ls -ld /etc/riotd && touch /etc/riotd/orders.yaml && apt-get purge -q -y riotd"
    diff <(echo "$before") <(traces "$root") || die 1 "$suite: the purge left something, or took what it did not bring"
}

each_suite "$@"
