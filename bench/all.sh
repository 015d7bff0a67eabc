#!/usr/bin/env bash
# The edge beside its peers, in one run and one table: nginx, and Traffic Server and Varnish where
# they are installed.
#
#   bench/all.sh [quick|full] [PART...]       parts: hits http2 misses latency idle npm
#
# quick takes some three minutes and is the default; full some fifteen. Servers take turns on core
# 0, the load and the origin are on core 1. The figures are per second of a server's own processor
# time, so that other work on the machine distorts little; the ratios are medians of rounds.
# docs/performance.md says how to read them. It wants Linux, nginx, wrk, taskset, openssl, curl.
# EDGE_BINARY=FILE measures that edge instead of this tree's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
for part in "$here"/parts/*.sh; do . "$part"; done

mode=quick
case ${1:-} in quick | full) mode=$1; shift ;; esac
parts=("$@")
if ((${#parts[@]} == 0)); then
	parts=(hits http2 misses latency idle)
	[[ $mode == quick ]] || parts+=(npm)
fi

setup
start nginx trafficserver varnish edge $([[ $mode == quick ]] || echo lane-off)
for part in "${parts[@]}"; do
	echo "# $part" >&2
	case $part-$mode in
	hits-quick) part_hits 2 1 2k 40k 1m tls2k tls40k ;;
	hits-full) part_hits 3 3 2k npm 16k 40k 64k 1m 100m tls2k tls40k tls1m ;;
	http2-quick) part_http2 2 1 2k 40k ;;
	http2-full) part_http2 3 3 2k 16k 40k 1m ;;
	misses-quick) part_misses 2 500 file packument tarball ;;
	misses-full) part_misses 3 1000 file packument tarball ;;
	latency-quick) part_latency 1 3 2000 30000 ;;
	latency-full) part_latency 3 5 2000 10000 30000 ;;
	idle-quick) part_idle 1 1000 ;;
	idle-full) part_idle 1 10000 ;;
	npm-*) part_npm 3 ;;
	*) echo "no part $part" >&2; exit 1 ;;
	esac
done
table
