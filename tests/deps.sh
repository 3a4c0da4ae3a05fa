#!/bin/sh
# deps.sh SET...: installs the Debian packages of these sets that are missing. Nothing missing, nothing called.
#
# redis-tools carries the server's binary (redis-check-rdb is it, under another name), so no package with a service is wanted.
set -eu

build='gcc libc6-dev make libevent-dev libhiredis-dev libyaml-dev libsystemd-dev libjansson-dev libxxhash-dev libssl-dev'
demo='redis-tools python3 python3-redis'
check='check openssl libsubunit-dev clang-19 clang-format-19 shellcheck systemd python3-pytest python3-pytest-xdist patch mandoc man-db zsh fish'
fuzz='clang-19 libclang-rt-19-dev'
deb='build-essential debhelper lintian'
service='debootstrap systemd-container python3 python3-pytest'

missing=''
for set in "$@"; do
    case $set in
    build) names=$build ;;
    demo) names=$demo ;;
    check) names=$check ;;
    fuzz) names=$fuzz ;;
    deb) names=$deb ;;
    service) names=$service ;;
    *)
        echo "deps.sh: no set '$set'; there are build, demo, check, fuzz, deb, service" >&2
        exit 64
        ;;
    esac
    if ! command -v dpkg-query >/dev/null; then
        echo "deps.sh: not a Debian system; what '$set' needs, under Debian's names: $names" >&2
        continue
    fi
    for name in $names; do
        case $(dpkg-query -W -f '${db:Status-Status} ' "$name" 2>/dev/null) in
        installed*) ;;
        *) missing="$missing $name" ;;
        esac
    done
done
[ -n "$missing" ] || exit 0

root=''
if [ "$(id -u)" != 0 ]; then
    root='sudo'
    command -v sudo >/dev/null || {
        echo "deps.sh: neither root nor sudo; as root: apt-get install$missing" >&2
        exit 77
    }
fi
echo "installing:$missing"
$root apt-get update -q || echo 'deps.sh: not every list of packages could be fetched' >&2
# shellcheck disable=SC2086 # both are lists of words
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
