#!/bin/bash
# versions.sh [NAME...]: what must hold, on servers of several versions. NAME: `installed` (this machine's own server), `redis`, `valkey`
# (the newest that Debian has, in any suite); all three, if none is named. Ends with a table: on which versions what passed and failed,
# and what could not be run and why. Fails where a test failed, and where none of those named but the installed one could be run.
#
# A server of another suite is unpacked below build/servers, with every library that it needs, and runs there: nothing is installed, and
# root is not needed. Packages come from where this machine takes its own, with their signatures checked. What was unpacked by an
# earlier run serves again, if no newer one is to be had. PYTEST_ARGS, BESIDE: as for make check; MARKS=long: the long forms.
# shellcheck source=tests/roots.sh
. "$(dirname "$0")/roots.sh"
work=$top/build/servers
apt=$work/apt
suites=(stable testing unstable)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
tests=(tests/integration/test_{must_hold,must_hold_cutover,psync,psync_matrix,psync_cluster,cluster,whole_slots})
python=${PYTHON:-/usr/bin/python3}

# An apt of its own: no package is installed in its eyes, so it fetches the C library too.
make_apt()
{
    local mirror suite
    command -v apt-get dpkg-deb > /dev/null || die 69 'no apt-get and dpkg-deb: not a Debian system'
    mirror=$(mirror_of_this_machine)
    [ -n "$mirror" ] || die 69 'apt of this machine knows no mirror of Debian; apt-get update may help'
    [ -r "$keyring" ] || die 69 "no $keyring: the package debian-archive-keyring"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : > "$apt/status"
    for suite in "${suites[@]}"; do
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done > "$apt/sources.list"
    {
        apt-config dump | grep -E '^Acquire::(https?|Check)' || true
        cat << EOF
Dir::Etc::Parts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Status "$apt/status";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt";
Dir::Cache::Archives "$apt/archives";
Dir::Log "$apt";
Acquire::Languages "none";
APT::Install-Recommends "no";
APT::Sandbox::User "$(id -un)";
EOF
    } > "$apt/apt.conf"
    # A suite that cannot be had leaves the others.
    APT_CONFIG=$apt/apt.conf apt-get update -q || [ -n "$(find "$apt/lists" -name '*_Packages*')" ]
}

# NAME-tools has the server's binary; see tests/deps.sh.
unpack()
{
    local name=$1 folder=$work/$1.new version deb
    version=$(APT_CONFIG=$apt/apt.conf apt-cache policy "$name-tools" | awk '$1 == "Candidate:" { print $2 }')
    [ -n "$version" ] || die 69 "no suite of ${suites[*]} has $name-tools"
    [ "$version" != "$(cat "$work/$name/version" 2> /dev/null)" ] || return 0
    rm -rf "$folder" "$apt"/archives/*.deb
    APT_CONFIG=$apt/apt.conf apt-get install -q -y --download-only "$name-tools"
    mkdir -p "$folder/root"
    for deb in "$apt"/archives/*.deb; do
        dpkg-deb -x "$deb" "$folder/root"
    done
    make_starter "$folder" "$name"
    echo "$version" > "$folder/version"
    rm -rf "${work:?}/$name"
    mv "$folder" "$work/$name"
}

# It goes by its name which of server and tools it is, and it is to find the libraries beside it, whatever this machine has.
make_starter()
{
    local folder=$1 name=$2 loader libraries
    loader=$(cd "$folder" && find root -name 'ld-linux*.so.*' ! -type l -print -quit)
    [ -n "$loader" ] || die 69 "no dynamic loader came with $name-tools"
    ln -sf "$name-check-rdb" "$folder/root/usr/bin/$name-server"
    # shellcheck disable=SC2016 # for the script
    libraries=$(cd "$folder" && find root/usr/lib -name '*.so.*' -printf '$here/%h\n' | sort -u | paste -sd :)
    cat > "$folder/$name-server" << EOF
#!/bin/sh
here=$work/$name
exec "\$here/$loader" --library-path "$libraries" "\$here/root/usr/bin/$name-server" "\$@"
EOF
    chmod +x "$folder/$name-server"
}

# Prints where it is; the whole of what was done for it is in $work/NAME.log.
find_server()
{
    local name=$1
    if [ "$name" = installed ]; then
        PYTHONPATH=$top/tests "$python" -B -c 'from kit.server import find_binary; print(find_binary())'
        return
    fi
    # In a shell of its own, so that what fails ends it: in a condition it would not.
    rm -f "$work/$name.older"
    "$0" --unpack "$name" > "$work/$name.log" 2>&1 || touch "$work/$name.older"
    [ -x "$work/$name/$name-server" ] && echo "$work/$name/$name-server"
}

# "Redis 7.0.15": redis-check-rdb is the server under another name, and tells it.
version_of()
{
    bash -c 'exec -a redis-server "$0" --version' "$1" | sed -nE 's/^(Redis|Valkey) server v=([^ ]+).*/\1 \2/p'
}

# With the feed psync, and this server on both sides. 5: there were none.
run_tests()
{
    local binary=$1 marks=$2 code=0
    shift 2
    # shellcheck disable=SC2086 # a list of words
    (cd "$top" && REDIS_SERVER=$binary TARGET_SERVER=$binary RIOT_FEED=psync "$python" -B -m pytest -p no:cacheprovider "$@" \
        -m "(${MARKS:-not long}) and $marks" ${PYTEST_ARGS:-} "${tests[@]/%/.py}") 2>&1 || code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 5 ]
}

# "N passed, N failed", of the closing lines of pytest: "=== 1 failed, 5 passed, 2 errors in 5s ===".
counts_of()
{
    grep -E '^=+ .*(passed|failed|errors?).* in [0-9.]+s' "$1" | awk '{
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed += $(i - 1)
            if ($i ~ /^(failed|errors?)/) failed += $(i - 1)
        }
    } END { if (NR) printf "%d passed, %d failed\n", passed, failed }'
}

# Adds to the table. What measures time is run with nothing beside it.
try_server()
{
    local name=$1 binary version code=0 counts log=$work/$1.tests.log
    binary=$(find_server "$name") || {
        table+=("$name: not run: $(tail -n 1 "$work/$name.log")")
        return 1
    }
    version=$(version_of "$binary")
    [ ! -e "$work/$name.older" ] || version+=" (of an earlier run: whether there is a newer one could not be found out)"
    say "$name: $version"
    # shellcheck disable=SC2086 # a list of words
    run_tests "$binary" 'not alone' ${BESIDE:--n 2} | tee "$log" || code=1
    run_tests "$binary" alone | tee -a "$log" || code=1
    counts=$(counts_of "$log") || true
    table+=("$name: $version: ${counts:-no test was run}")
    [ -n "$counts" ] || code=1
    ran+=("$name")
    [ "$code" -eq 0 ] || failed+=("$name")
}

if [ "${1:-}" = --unpack ]; then
    make_apt
    unpack "$2"
    exit
fi
names=("$@")
[ $# -gt 0 ] || names=(installed redis valkey)
mkdir -p "$work"
table=() ran=() failed=()
for name in "${names[@]}"; do
    try_server "$name" || true
done
say 'versions'
printf '%s\n' "${table[@]}"
[ ${#failed[@]} -eq 0 ] || die 1 "failed: ${failed[*]}"
[ "${#names[@]}" -eq 1 ] || [ "${ran[*]}" != installed ] || die 69 'no server but the installed one could be had'
[ ${#ran[@]} -gt 0 ] || die 69 'no server could be had'
