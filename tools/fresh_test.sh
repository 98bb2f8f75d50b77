#!/bin/bash
# The promise of two commands, on a Debian 12 with nothing in it but make and git: clones this repository's HEAD into a
# debootstrap root, starts `make run`, sends images through it with storescu, stops it, runs `make test`.
#
# Packages come from where this machine's apt gets them; its settings are copied into the root. Needs root, and port
# 11112 free, for the root shares this machine's network. Mounts and processes live in namespaces of their own and end
# with this script; the root is removed, whatever happens.
set -euo pipefail

port=11112
listen_seconds=900
images=(CT_small.dcm MR_small.dcm SC_rgb_small_odd.dcm)

fail() {
    echo "fresh-test: $*" >&2
    exit 1
}

if [ "${FRESH_TEST_INSIDE:-}" != yes ]; then
    [ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot need root"
    FRESH_TEST_INSIDE=yes exec unshare --mount --pid --fork --kill-child "$0"
fi

cd "$(dirname "$0")/.."
root=$(mktemp -d "${TMPDIR:-/tmp}/hilum-fresh.XXXXXX")
chmod 755 "$root"

# Of the processes of our own namespace, those that $root/proc shows with $2 behind the link $1.
processes() {
    local entry
    for entry in "$root"/proc/[0-9]*; do
        [ "$(readlink "$entry/$1" 2>/dev/null)" != "$2" ] || echo "${entry##*/}"
    done
}

cleanup() {
    local pid mount
    for pid in $(processes root "$root"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    for mount in dev/shm dev/pts dev proc; do
        umount "$root/$mount" 2>/dev/null || umount -l "$root/$mount" 2>/dev/null || true
    done
    if grep -qF " $root/" /proc/self/mountinfo; then
        echo "fresh-test: something is still mounted below $root, which stays" >&2
    else
        rm -rf --one-file-system "$root"
    fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "${proxies[@]}" \
        chroot "$root" /bin/sh -c 'cd /root/hilum 2>/dev/null || cd /; exec "$@"' sh "$@"
}

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

find_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "bookworm" && $3 == "main" { print $4; exit }'
}

# What it takes to reach the packages as this machine does. Hooks stay out: they call programs that the root lacks.
copy_apt_settings() {
    local name
    rm -f "$root/etc/apt/sources.list"
    for name in sources.list sources.list.d preferences preferences.d auth.conf auth.conf.d keyrings trusted.gpg \
        trusted.gpg.d; do
        [ ! -e "/etc/apt/$name" ] || cp -RL "/etc/apt/$name" "$root/etc/apt/"
    done
    for name in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
        [ ! -f "$name" ] || grep -q 'Invoke\|Install-Pkgs' "$name" || cp -L "$name" "$root$name"
    done
    cp -RL /usr/share/keyrings "$root/usr/share/"
    for name in /etc/hosts /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
        [ ! -f "$name" ] || install -D -m 644 "$name" "$root$name"
    done
}

make_root() {
    local mirror include=make,git
    mirror=$(find_mirror)
    if [ -z "$mirror" ]; then
        apt-get -q update
        mirror=$(find_mirror)
    fi
    [ -n "$mirror" ] || fail "this machine's apt knows no mirror of Debian 12 (bookworm)"
    # apt takes https by itself; git and debootstrap's wget look for certificates where this package puts them.
    case $mirror in https:*) include=$include,ca-certificates ;; esac
    debootstrap --variant=minbase --include="$include" bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -n 30 "$root.log" >&2
        rm -f "$root.log"
        fail "debootstrap failed"
    }
    rm -f "$root.log"
    copy_apt_settings
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # packages start no services here
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount --bind /dev/pts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
}

clone() {
    git diff --quiet HEAD || echo "fresh-test: what is not committed is not tested"
    git bundle create -q "$root/root/hilum.bundle" HEAD
    in_root git -c advice.detachedHead=false clone -q /root/hilum.bundle /root/hilum
    echo "fresh-test: cloned $(git log -1 --format='%h %s')"
}

start() {
    local waited
    in_root make run >"$root/root/run.log" 2>&1 </dev/null &
    make_pid=$!
    for ((waited = 0; waited < listen_seconds; waited++)); do
        ! listens || return 0
        kill -0 "$make_pid" 2>/dev/null || break
        sleep 1
    done
    cat "$root/root/run.log" >&2
    fail "make run does not listen on port $port"
}

send() {
    in_root tools/deps test
    in_root sh -c 'cd /usr/lib/python3/dist-packages/pydicom/data/test_files &&
        exec storescu -aec HILUM 127.0.0.1 "$@"' sh "$port" "${images[@]}" || fail "storescu failed"
    in_root python3 - "${images[@]}" <<'PY' || fail "the archive does not hold what was sent"
import pathlib
import sys

import pydicom
from pydicom.data import get_testdata_file

def facts(path):
    ds = pydicom.dcmread(path)
    return ds.file_meta.TransferSyntaxUID, ds.SOPInstanceUID, ds.PatientID, ds.PixelData

# storescu writes the data set anew, so what must agree is what it may not change.
sent = sorted(facts(get_testdata_file(name)) for name in sys.argv[1:])
archived = sorted(facts(path) for path in pathlib.Path("hilum-archive").rglob("*") if path.is_file())
if archived != sent:
    sys.exit(f"sent {[f[:3] for f in sent]}, archived {[f[:3] for f in archived]}")
PY
}

stop() {
    local pid
    pid=$(processes exe "$root/root/hilum/build/hilum")
    [ -n "$pid" ] || fail "hilum is not running any more"
    kill -TERM $pid
    wait "$make_pid" || {
        cat "$root/root/run.log" >&2
        fail "make run did not end well"
    }
}

mapfile -t proxies < <(env | grep -iE '^(https?|ftp|all|no)_proxy=' || true)
! listens || fail "port $port is taken"

make_root
clone
start
send
stop
run_line="fresh-test: make run: ${#images[@]} images sent with storescu, ${#images[@]} in the archive, pixels equal"
status=0
in_root make test </dev/null 2>&1 | tee "$root/root/test.log" || status=1
tally=$(grep -xE '[0-9]+ passed, [0-9]+ failed' "$root/root/test.log" | tail -n 1 || true)
test_line="fresh-test: make test: ${tally:-no tally}"
printf '%s\n' "$run_line" "$test_line"
exit $status
