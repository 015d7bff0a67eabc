#!/usr/bin/env bash
# Hits beside a peer, in one run: nginx's proxy cache and the edge take turns on
# core 0, the load is on core 1, and both stand in front of the same origin. Every
# address is on loopback, every round is bounded, and what is started is ended by
# its id.
#
#   bench/hits.sh [ROUNDS] [SECONDS]
#
# It wants nginx, wrk, taskset and two cores. Read the ratios, not the absolutes.
set -euo pipefail
rounds=${1:-3} seconds=${2:-5}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
pids=()
finish() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
for tool in nginx wrk taskset go; do
	command -v "$tool" >/dev/null || { echo "bench/hits.sh needs $tool" >&2; exit 1; }
done

mkdir "$work/www"
head -c 4096 /dev/urandom >"$work/www/4k"
head -c 65536 /dev/urandom >"$work/www/64k"
head -c 4194304 /dev/urandom >"$work/www/4m"

cat >"$work/origin.conf" <<EOF
worker_processes 1; daemon off; pid $work/origin.pid; error_log $work/origin.log;
events { worker_connections 1024; }
http { access_log off; default_type application/octet-stream;
  server { listen 127.0.0.1:18091; location / { root $work/www; add_header Cache-Control max-age=3600; } } }
EOF
cat >"$work/nginx.conf" <<EOF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  proxy_cache_path $work/nginx-cache levels=1:2 keys_zone=c:64m max_size=1g use_temp_path=off;
  server { listen 127.0.0.1:18092; location / { proxy_pass http://127.0.0.1:18091; proxy_cache c; } } }
EOF
cat >"$work/edge.yaml" <<EOF
listen: 127.0.0.1:18093
admin: { listen: "" }
cache: { dir: $work/edge-cache, disk: 1GiB, memory: 256MiB }
log: { access: "off" }
sites: [ { name: files, kind: files, masters: [ { url: "http://127.0.0.1:18091", role: primary } ] } ]
EOF
(cd "$root" && go build -o "$work/edge" ./edge)

nginx -c "$work/origin.conf" & pids+=($!)
taskset -c 0 nginx -c "$work/nginx.conf" & pids+=($!)
GOMAXPROCS=1 taskset -c 0 "$work/edge" --config "$work/edge.yaml" >"$work/edge.out" 2>&1 & pids+=($!)
for port in 18092 18093; do
	for file in 4k 64k 4m; do
		curl -s --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/$file" >/dev/null
	done
done

printf '%-5s %-6s %12s %12s %7s\n' file round nginx/s edge/s ratio
for file in 4k 64k 4m; do
	for round in $(seq "$rounds"); do
		rate() { taskset -c 1 wrk -t1 -c32 -d"${seconds}s" "http://127.0.0.1:$1/$file" | awk '/Requests\/sec/ {print $2}'; }
		n=$(rate 18092) e=$(rate 18093)
		awk -v f=$file -v r="$round" -v n="$n" -v e="$e" 'BEGIN {printf "%-5s %-6s %12.0f %12.0f %7.2f\n", f, r, n, e, e/n}'
	done
done
