#!/usr/bin/env bash
# A real S3 server: the gateway of Ceph, from Debian's packages, which are unpacked and not installed.
#
#   radosgw.sh start [--port 33380] [--dir DIR] [--gib 4]   prints "pid PID  http://127.0.0.1:PORT"
#   radosgw.sh stop  [--port 33380] [--dir DIR]
#
# One monitor (ports PORT+1 and PORT+2), one store in memory of so many GiB, one gateway, all on loopback: 650 MB when idle, half
# a minute to the first request. What is deleted or overwritten gives its memory back after some seconds. The access key is AKTEST, the secret key SKTEST. DIR is emptied at the start.
# Needs root and apt, and unpacks once into ${XDG_CACHE_HOME:-~/.cache}/chronik-peers/radosgw (260 MB).
set -euo pipefail

START_TIMEOUT_S=120
STOP_TIMEOUT_S=20
ACCESS_KEY=AKTEST
SECRET_KEY=SKTEST

cache=${XDG_CACHE_HOME:-$HOME/.cache}/chronik-peers/radosgw
root=$cache/root

usage() { sed -n '2,/^# Needs/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
fail() { echo "radosgw.sh: $*" >&2; exit 1; }

# Aside, and moved when it is whole: several may begin at once.
unpack() {
  [[ -d $root ]] && return
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || fail 'needs root on a Debian'
  local work=$cache.$$ package
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$cache" "$work/debs/archives/partial" "$work/root"
  download "$work" >"$work/log" 2>&1 || { apt-get update -q && download "$work"; } >>"$work/log" 2>&1 ||
    fail "apt: $(tail -n 2 "$work/log")"
  for package in "$work"/debs/archives/*.deb; do dpkg -x "$package" "$work/root"; done
  mv -nT "$work/root" "$root"
  rm -rf "$work"
  trap - EXIT
}

download() { # WORK
  apt-get install -y -q -d --no-install-recommends -o "Dir::Cache=$1/debs" radosgw ceph-mon ceph-osd ceph-common
}

write_settings() { # FSID
  cat >"$dir/ceph.conf" <<SETTINGS
[global]
fsid = $1
mon host = [v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default pg num = 4
mon max pg per osd = 1000
mgr initial modules =
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/log/\$name.log
erasure code dir = $libraries/ceph/erasure-code
plugin dir = $libraries/ceph
osd class dir = $libraries/rados-classes
[mon.a]
mon data = $dir/mon
[osd.0]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = $((gib * 1024 * 1024 * 1024))
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$port
rgw thread pool size = 64
rgw gc obj min wait = 5
rgw gc processor period = 5
SETTINGS
}

# Descriptors of the caller are closed: who inherited one would keep the caller's lock or pipe for as long as it runs.
background() { # NAME COMMAND...
  local name=$1
  shift
  (
    for fd in "/proc/$BASHPID/fd/"*; do
      if ((${fd##*/} > 2)); then eval "exec ${fd##*/}>&-"; fi
    done
    exec setsid "$@" -c "$dir/ceph.conf" -f
  ) </dev/null >"$dir/log/$name.out" 2>&1 &
  echo "$!" >"$dir/$name.pid"
}

# True while the process in the pid file is ours: pids are reused.
running() { # NAME
  pid=$(cat "$dir/$1.pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$dir/ceph.conf "
}

await() { # NAME COMMAND...
  local name=$1
  shift
  until "$@" >/dev/null 2>&1; do
    running "$name" || give_up "$name ended while starting: $(tail -n 3 "$dir/log/$name.out")"
    ((SECONDS < START_TIMEOUT_S)) || give_up "$name gave no answer in $START_TIMEOUT_S s, see $dir/log"
    sleep 0.2
  done
}

give_up() {
  stop || true
  fail "$*"
}

answers() {
  curl -s -m 3 "http://127.0.0.1:$port/" | grep -q ListAllMyBuckets
}

start() {
  if running rgw; then fail "already running as pid $pid in $dir"; fi
  if answers; then fail "port $port is taken"; fi
  unpack
  rm -rf "$dir"
  mkdir -p "$dir"/{mon,osd,run,log}
  libraries=$root/usr/lib/$(uname -m)-linux-gnu
  export LD_LIBRARY_PATH=$libraries:$libraries/ceph:$root/lib/$(uname -m)-linux-gnu
  export PATH=$root/usr/bin:$PATH PYTHONPATH=$root/usr/lib/python3/dist-packages
  local fsid osd
  fsid=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
  write_settings "$fsid"
  {
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" "$dir/monmap"
    ceph-mon -c "$dir/ceph.conf" -i a --mkfs --monmap "$dir/monmap"
  } >"$dir/log/setup.out" 2>&1 || fail "ceph-mon: $(tail -n 3 "$dir/log/setup.out")"
  background mon ceph-mon -i a
  await mon ceph -c "$dir/ceph.conf" --connect-timeout 3 osd new "$osd"
  ceph-osd -c "$dir/ceph.conf" -i 0 --mkfs --osd-uuid "$osd" >>"$dir/log/setup.out" 2>&1 || give_up "see $dir/log/setup.out"
  background osd ceph-osd -i 0
  background rgw radosgw -n client.rgw.a --ms_mon_client_mode=crc
  await rgw answers
  radosgw-admin -c "$dir/ceph.conf" -n client.rgw.a --ms_mon_client_mode=crc user create --uid=test --display-name=test \
    --access-key=$ACCESS_KEY --secret-key=$SECRET_KEY >>"$dir/log/setup.out" 2>&1 || give_up "see $dir/log/setup.out"
  running rgw
  echo "pid $pid  http://127.0.0.1:$port"
}

stop() {
  local name deadline=$((SECONDS + STOP_TIMEOUT_S))
  for name in rgw osd mon; do
    if ! running $name; then continue; fi
    kill "$pid"
    while running $name; do
      if ((SECONDS >= deadline)); then kill -9 "$pid"; fi
      sleep 0.1
    done
    rm -f "$dir/$name.pid"
  done
}

port=33380 dir='' gib=4
command=${1:-}
shift || usage
while [[ $# -gt 0 ]]; do
  case $1 in
    --port) port=${2:?} && shift 2 ;;
    --dir) dir=${2:?} && shift 2 ;;
    --gib) gib=${2:?} && shift 2 ;;
    *) usage ;;
  esac
done
case $command in start | stop) ;; *) usage ;; esac
dir=$(realpath -m "${dir:-$cache/run-$port}")
$command
