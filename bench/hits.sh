#!/usr/bin/env bash
# Hits beside a peer, in one run: nginx's proxy cache, the edge without its fast lane and the
# edge with it take turns on core 0, the load is on core 1, and all stand in front of the same
# origin. Every address is on loopback, every round is bounded, and all that is started is ended
# by its id.
#
#   bench/hits.sh [ROUNDS] [SECONDS] [CASE]...     cases: 2k npm 16k 40k 64k 1m tls2k tls40k
#
# It prints requests for each second of the server's own processor time (schedstat of its
# tasks, so on Linux), and the ratio to nginx. It wants nginx, wrk, taskset, openssl, curl and
# two cores. Read the ratios, not the absolutes.
set -euo pipefail
rounds=${1:-3} seconds=${2:-5}
shift $(($# < 2 ? $# : 2))
cases=("$@")
((${#cases[@]})) || cases=(2k npm 40k tls2k tls40k)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
chmod 755 "$work" # workers of nginx may be of another user
pids=()
finish() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
for tool in nginx wrk taskset openssl curl go; do
	command -v "$tool" >/dev/null || { echo "bench/hits.sh needs $tool" >&2; exit 1; }
done

mkdir "$work/www"
for size in 2048:2k 16384:16k 40960:40k 65536:64k 1048576:1m; do head -c "${size%:*}" /dev/urandom >"$work/www/${size#*:}"; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=edge -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

cat >"$work/origin.conf" <<CONF
worker_processes 1; daemon off; pid $work/origin.pid; error_log $work/origin.log;
events { worker_connections 1024; }
http { access_log off; default_type application/octet-stream;
  server { listen 127.0.0.1:18091; location / { root $work/www; add_header Cache-Control max-age=3600; } } }
CONF
cat >"$work/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  proxy_cache_path $work/nginx-cache levels=1:2 keys_zone=c:64m max_size=1g use_temp_path=off;
  server { listen 127.0.0.1:18092; listen 127.0.0.1:18192 ssl; ssl_protocols TLSv1.3;
    ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
    location / { proxy_pass http://127.0.0.1:18091; proxy_cache c; } } }
CONF
edge_conf() { # name, port, tls port, lane
	cat >"$work/$1.yaml" <<CONF
listen: 127.0.0.1:$2
admin: { listen: "" }
tls: { listen: "127.0.0.1:$3", certificate: { cert: $work/cert.pem, key: $work/key.pem } }
cache: { dir: $work/$1-cache, disk: 1GiB, memory: 256MiB }
fast_lane: $4
log: { access: "off" }
sites: [ { name: files, kind: files, masters: [ { url: "http://127.0.0.1:18091", role: primary } ] } ]
CONF
}
edge_conf off 18093 18193 false
edge_conf on 18094 18194 true
(cd "$root" && go build -o "$work/edge" ./edge)

nginx -c "$work/origin.conf" & pids+=($!)
taskset -c 0 nginx -c "$work/nginx.conf" & pids+=($!)
GOMAXPROCS=1 taskset -c 0 "$work/edge" --config "$work/off.yaml" >"$work/off.out" 2>&1 & pids+=($!)
off=$!
GOMAXPROCS=1 taskset -c 0 "$work/edge" --config "$work/on.yaml" >"$work/on.out" 2>&1 & pids+=($!)
on=$!
for port in 18092 18093 18094; do
	for file in "$work"/www/*; do
		for _ in 1 2 3; do curl -s --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/$(basename "$file")" >/dev/null; done
	done
done
nginx=$(pgrep -P "$(cat "$work/nginx.pid")" | while read -r p; do
	grep -q 'worker process' "/proc/$p/cmdline" && { echo "$p"; break; }
done)

cpu() { cat /proc/"$1"/task/*/schedstat | awk '{n += $1} END {printf "%.0f", n}'; } # nanoseconds
npm=(-H 'accept-encoding: gzip,deflate' -H 'user-agent: npm/11.0.0 node/v24.0.0 linux x64 workspaces/false' -H 'npm-auth-type: web'
	-H 'npm-command: install' -H 'npm-session: 1f0c5d' -H 'pacote-version: 20.0.0' -H 'pacote-req-type: packument'
	-H 'pacote-pkg-id: registry:name' -H 'connection: keep-alive'
	-H 'accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*')
rate() { # pid, port, tls port, case: requests per second of the server's processor time
	local scheme=http port=$2 fields=() file=$4 before requests
	case $4 in
	npm) file=2k fields=("${npm[@]}") ;;
	tls*) scheme=https port=$3 file=${4#tls} ;;
	esac
	before=$(cpu "$1")
	requests=$(taskset -c 1 wrk -t1 -c64 -d"${seconds}s" "${fields[@]}" "$scheme://127.0.0.1:$port/$file" |
		awk '/requests in/ {n = $1} /Non-2xx|Socket errors/ {print > "/dev/stderr"} END {print n}')
	awk -v n="$requests" -v ns="$(($(cpu "$1") - before))" 'BEGIN {printf "%.0f", n / ns * 1e9}'
}

printf '%-7s %-5s %12s %12s %12s %7s %7s\n' case round nginx lane-off lane-on off on
for case in "${cases[@]}"; do
	for round in $(seq "$rounds"); do
		n=$(rate "$nginx" 18092 18192 "$case") e=$(rate "$off" 18093 18193 "$case") l=$(rate "$on" 18094 18194 "$case")
		awk -v c="$case" -v r="$round" -v n="$n" -v e="$e" -v l="$l" \
			'BEGIN {printf "%-7s %-5s %12.0f %12.0f %12.0f %7.2f %7.2f\n", c, r, n, e, l, e / n, l / n}'
	done
done
