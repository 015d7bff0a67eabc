#!/usr/bin/env bash
# Makes edge/default.pgo, the profile by which the compiler lays out the edge: hits of the lane and
# of net/http, plain and inside TLS, HTTP/2, and misses, in shares of time like those of a busy
# edge. "make pgo" runs it. Everything is on loopback and bounded; the profile is of this tree.
#
#   bench/pgo.sh [SECONDS]     for each kind of request, 5
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/parts/hits.sh"
seconds=${1:-5}
need wrk
setup
(cd "$root" && go build -pgo=off -o "$work/profiled" ./bench/pgo)
export EDGE_BINARY=$work/profiled PGO_PROFILE=$work/default.pgo
start edge
fill_caches
touch_files
at=127.0.0.1:$(port edge)
for case in 2k npm 40k 1m tls2k tls40k; do wrk_rate edge "$case" "$seconds" >/dev/null; done
taskset -c 1 wrk -t1 -c64 -d"${seconds}s" -H 'Range: bytes=0-999' "http://$at/40k" >/dev/null # by net/http, from a file
taskset -c 1 wrk -t1 -c64 -d"${seconds}s" -H 'X-Field: not for the lane' "http://$at/2k" >/dev/null
for path in '/any/8k/pgo{n}' '/npm/p{n}' '/npm/p{n}/-/p{n}-1.0.0.tgz'; do
	timeout $((4 * seconds)) taskset -c 1 "$work/load" once -addr "$at" -path "$path" -from 0 -n 3000 -c 16 >/dev/null || true
done
kill "${pid[edge]}"
wait "${pid[edge]}" || true
mv "$PGO_PROFILE" "$root/edge/default.pgo"
ls -l "$root/edge/default.pgo" >&2
