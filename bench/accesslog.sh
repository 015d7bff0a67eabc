#!/usr/bin/env bash
# What the access log costs a hit: the edge without it beside its two forms, written to a file and to
# nowhere, in turns.
#
#   bench/accesslog.sh [ROUNDS] [SECONDS] [CASE]...     cases: 2k npm 40k tls2k ..., see bench/hits.sh
#
# Each figure is requests for each second of the edge's own processor time, the writing of the log
# included. The machine may be shared: the last column compares rounds, and takes the median.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/parts/hits.sh"
rounds=${1:-5} seconds=${2:-3}
shift $(($# < 2 ? $# : 2))
cases=("$@")
((${#cases[@]})) || cases=(2k npm)

logs=(off json-file json-null common-file common-null)
port() { # SERVER
	local n=1 l
	[[ $1 != origin ]] || { echo $((${BENCH_PORTS:-18090} + 1)); return; }
	for l in "${logs[@]}" nginx lane-off edge trafficserver varnish; do
		n=$((n + 1))
		[[ $l != "$1" ]] || echo $((${BENCH_PORTS:-18090} + n))
	done
}

start_logged() { # LOG
	local form=${1%-*} to=$work/$1.log
	[[ $1 != *-null ]] || to=/dev/null
	cat >"$work/$1.yaml" <<CONF
listen: 127.0.0.1:$(port "$1")
public_url: http://127.0.0.1:$(port "$1")
admin: { listen: "" }
tls: { listen: "127.0.0.1:$(tlsport "$1")", certificate: { cert: $work/cert.pem, key: $work/key.pem } }
cache: { dir: $work/$1-cache, disk: 64MiB, memory: 64MiB }
log: { access: "$form" }
sites:
  - { name: files, kind: files, masters: [ { url: "http://127.0.0.1:$(port origin)", role: primary } ] }
CONF
	GOMAXPROCS=1 taskset -c 0 "${EDGE_BINARY:-$work/edge}" --config "$work/$1.yaml" >>"$to" 2>"$work/$1.err" & pids+=($!)
	pid[$1]=$!
}

packages=1 setup
need wrk
start_origin
for s in "${logs[@]}"; do
	start_logged "$s"
	servers+=("$s")
done
for s in origin "${logs[@]}"; do await "$s"; done
touch_files
for _ in $(seq "$rounds"); do
	for case in "${cases[@]}"; do
		for s in "${logs[@]}"; do
			note "hit $case" "req/CPU-s" "$s" "$(wrk_rate "$s" "$case" "$seconds")"
			[[ $s != *-file ]] || : >"$work/$s.log"
		done
	done
done
awk -F '\t' -v logs="${logs[*]}" '
	function median(list,   v, n, i, j, t) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j-1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
		return n % 2 ? v[(n+1)/2] : (v[n/2] + v[n/2+1]) / 2
	}
	{ if (!($1 in seen)) { seen[$1]; order[++rows] = $1 }; k = $1 FS $3; n[k]++; value[k, n[k]] = $4; all[k] = all[k] " " $4 }
	END {
		count = split(logs, log_, " ")
		for (r = 1; r <= rows; r++) for (l = 1; l <= count; l++) {
			k = order[r] FS log_[l]; base = order[r] FS log_[1]; ratios = ""
			for (i = 1; i <= n[k]; i++) ratios = ratios " " 100 * (1 - value[k, i] / value[base, i])
			printf "%-10s %-12s %8.0f req/CPU-s  %5.1f %% dearer\n", order[r], log_[l], median(all[k]), median(ratios)
		}
	}' "$work/values"
