# What the parts of bench/all.sh share: the servers that are compared, each on core 0 and in
# front of the same origin, and the measures. Sourced; bash. Everything is on loopback, every
# load is bounded, and all that is started is ended by its id.
#
# Servers: nginx, trafficserver and varnish where they are installed, edge, and the edge without
# its fast lane (lane-off). Ports: $(port SERVER) and $(tlsport SERVER); BENCH_PORTS=N (below 32768) moves them, for two
# runs at a time.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pids=()

need() { # TOOL...: ends the run where one is not installed
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "bench needs $tool" >&2; exit 1; }
	done
}

finish() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$work"
}

port() {
	local n
	case $1 in
	origin) n=1 ;; nginx) n=2 ;; lane-off) n=3 ;; edge) n=4 ;; trafficserver) n=5 ;; varnish) n=6 ;;
	*) echo "no server $1" >&2; return 1 ;;
	esac
	echo $((${BENCH_PORTS:-18090} + n))
}
tlsport() { echo $(($(port "$1") + 100)); }
has_tls() { [[ $1 != varnish ]]; } # Varnish leaves TLS to a proxy before it

# setup makes $work, what the origin serves, a certificate, the edge and the client.
setup() {
	need nginx taskset openssl curl go awk
	local s
	for s in origin nginx lane-off edge trafficserver varnish; do
		! (exec 3<>"/dev/tcp/127.0.0.1/$(port "$s")") 2>/dev/null || { echo "port $(port "$s") is taken: is another run under way? BENCH_PORTS=N moves this one" >&2; exit 1; }
	done
	work=$(mktemp -d)
	trap finish EXIT
	trap 'exit 1' INT TERM HUP # or nothing would be ended
	chmod 755 "$work" # workers of nginx may be of another user
	ulimit -n "$(ulimit -Hn)"
	mkdir "$work/www"
	local size
	for size in 2048:2k 8192:8k 16384:16k 40960:40k 65536:64k 262144:256k 1048576:1m 104857600:100m; do
		head -c "${size%:*}" /dev/urandom >"$work/www/${size#*:}"
	done
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=edge -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
	(cd "$root" && go build -o "$work/edge" ./edge && go build -o "$work/load" ./bench/load)
	"$work/load" registry -dir "$work/www" -base "http://127.0.0.1:$(port origin)/npm" -n "${packages:-3000}"
}

# The origin is a static nginx. /any/SIZE/N is the file SIZE for every N: that makes distinct
# URLs of one file, for misses and to fill a cache. /npm is a registry of small packages.
start_origin() {
	cat >"$work/origin.conf" <<CONF
worker_processes 1; daemon off; pid $work/origin.pid; error_log $work/origin.log;
events { worker_connections 16384; }
http { access_log off; default_type application/octet-stream; keepalive_requests 100000000; sendfile on; root $work/www;
  open_file_cache max=20000; open_file_cache_valid 1h; add_header Cache-Control max-age=3600;
  server { listen 127.0.0.1:$(port origin);
    location / { }
    location /any/ { rewrite ^/any/([a-z0-9]+)/ /\$1 break; }
    location /npm/ { default_type application/json; rewrite ^/npm/(p[0-9]+)\$ /packuments/\$1 break; }
    location ~ ^/npm/.*/-/ { rewrite ^ /tarball break; } } }
CONF
	taskset -c 1 nginx -c "$work/origin.conf" & pids+=($!)
}

start_nginx() {
	cat >"$work/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 16384; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600s;
  proxy_cache_path $work/nginx-cache levels=1:2 keys_zone=c:64m max_size=1g use_temp_path=off;
  upstream origin { server 127.0.0.1:$(port origin); keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$(port nginx); listen 127.0.0.1:$(tlsport nginx) ssl http2; ssl_protocols TLSv1.3;
    ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache c; proxy_cache_lock on; } } }
CONF
	taskset -c 0 nginx -c "$work/nginx.conf" 2>>"$work/nginx.log" & pids+=($!)
	pid[nginx]=$!
}

start_edge() { # edge or lane-off
	cat >"$work/$1.yaml" <<CONF
listen: 127.0.0.1:$(port "$1")
public_url: http://127.0.0.1:$(port "$1")
admin: { listen: "" }
tls: { listen: "127.0.0.1:$(tlsport "$1")", certificate: { cert: $work/cert.pem, key: $work/key.pem } }
cache: { dir: $work/$1-cache, disk: 1GiB, memory: 256MiB }
fast_lane: $([[ $1 == edge ]] && echo true || echo false)
log: { access: "off" }
sites:
  - { name: files, kind: files, masters: [ { url: "http://127.0.0.1:$(port origin)", role: primary } ] }
  - { name: npm, kind: npm, path: /npm, masters: [ { url: "http://127.0.0.1:$(port origin)/npm", role: primary } ] }
$edge_extra
CONF
	GOMAXPROCS=1 taskset -c 0 "${EDGE_BINARY:-$work/edge}" --config "$work/$1.yaml" >"$work/$1.out" 2>&1 & pids+=($!)
	pid[$1]=$!
}
edge_extra=

start_varnish() {
	echo 'vcl 4.1; backend default { .host = "127.0.0.1"; .port = "'"$(port origin)"'"; }' >"$work/default.vcl"
	taskset -c 0 varnishd -F -j none -n "$work/varnish" -a "127.0.0.1:$(port varnish)" -f "$work/default.vcl" -s malloc,512m \
		-p feature=+http2 -p timeout_idle=600 -p thread_pools=1 -p thread_pool_min=50 -p vsl_space=1m >"$work/varnish.out" 2>&1 & pids+=($!)
	pid[varnish]=$!
}

start_trafficserver() {
	local ats=$work/trafficserver
	mkdir -p "$ats"/{etc,log,run,cache,var}
	cat >"$ats/runroot.yaml" <<CONF
prefix: $ats
exec_prefix: $ats
bindir: /usr/bin
sbindir: /usr/sbin
libdir: /usr/lib
sysconfdir: $ats/etc
logdir: $ats/log
runtimedir: $ats/run
cachedir: $ats/cache
localstatedir: $ats/var
datadir: $ats/var
includedir: $ats/var
plugindir: /usr/lib/trafficserver/modules
libexecdir: /usr/lib/trafficserver/modules
CONF
	cat >"$ats/etc/records.config" <<CONF
CONFIG proxy.config.http.server_ports STRING $(port trafficserver):ip-in=127.0.0.1 $(tlsport trafficserver):ssl:ip-in=127.0.0.1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.cache.ram_cache.size INT 268435456
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.http.cache.required_headers INT 0
CONFIG proxy.config.http.insert_response_via_str INT 0
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
CONFIG proxy.config.net.connections_throttle INT 30000
CONFIG proxy.config.net.max_connections_in INT 30000
CONFIG proxy.config.ssl.server.cert.path STRING $work
CONFIG proxy.config.ssl.server.private_key.path STRING $work
CONF
	echo "map / http://127.0.0.1:$(port origin)/" >"$ats/etc/remap.config"
	echo "$ats/cache 1G" >"$ats/etc/storage.config"
	echo 'dest_ip=* ssl_cert_name=cert.pem ssl_key_name=key.pem' >"$ats/etc/ssl_multicert.config"
	printf 'ip_allow:\n  - { apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL }\n' >"$ats/etc/ip_allow.yaml"
	: >"$ats/etc/hosting.config"
	taskset -c 0 traffic_server --run-root="$ats" >"$work/trafficserver.out" 2>&1 & pids+=($!)
	pid[trafficserver]=$!
}
installed() { # SERVER
	case $1 in
	varnish) command -v varnishd >/dev/null ;;
	trafficserver) command -v traffic_server >/dev/null ;;
	*) true ;;
	esac
}

# await waits for an answer of a server, and ends the run where none comes.
await() { # SERVER
	local fault
	for _ in $(seq 60); do
		fault=$(curl -sS -o /dev/null --fail "http://127.0.0.1:$(port "$1")/2k" 2>&1) && return
		sleep 1
	done
	echo "$1 does not answer: $fault" >&2
	tail -5 "$work/$1".{out,log} >&2 2>/dev/null || true
	exit 1
}

# start starts the named servers, those that are installed, and waits for an answer of each.
declare -A pid
servers=()
start() {
	local s
	start_origin
	for s in "$@"; do
		installed "$s" || { echo "not installed, left out: $s" >&2; continue; }
		case $s in edge | lane-off) start_edge "$s" ;; *) "start_$s" ;; esac
		servers+=("$s")
	done
	for s in origin "${servers[@]}"; do await "$s"; done
}

# tree prints the ids of a server's processes.
tree() {
	local p
	echo "$1"
	for p in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$p"; done
}
cpu() { # SERVER: nanoseconds of processor time that its tasks have had
	local p
	for p in $(tree "${pid[$1]}"); do cat /proc/"$p"/task/*/schedstat 2>/dev/null || true; done | awk '{n += $1} END {printf "%.0f", n}'
}
resident() { # SERVER: bytes of memory that are its own, from smaps_rollup
	local p
	for p in $(tree "${pid[$1]}"); do cat /proc/"$p"/smaps_rollup 2>/dev/null || true; done | awk '/^Private_(Clean|Dirty)/ {n += $2} END {printf "%.0f", n * 1024}'
}

# note keeps one value of one round; the table takes the medians of them.
note() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$work/values"; } # CASE UNIT SERVER VALUE

# table prints the medians: one line for each case, one column for each server, and the medians of
# the rounds' ratios of the edge to nginx.
table() {
	awk -F '\t' -v servers="${servers[*]}" '
	function median(list,   v, n, i, j, t) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j-1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
		return n % 2 ? v[(n+1)/2] : (v[n/2] + v[n/2+1]) / 2
	}
	function short(x) { return x >= 1000 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x) }
	{ row = $1 FS $2; if (!(row in seen)) { seen[row]; order[++rows] = row }
	  all[row, $3] = all[row, $3] " " $4; count[row, $3]++; value[row, $3, count[row, $3]] = $4 }
	END {
		columns = split(servers, name, " ")
		printf "| %-26s | %-14s |", "case", "unit"; for (c = 1; c <= columns; c++) printf " %13s |", name[c]; printf " %10s |\n", "edge/nginx"
		printf "| --- | --- |"; for (c = 1; c <= columns; c++) printf " --- |"; print " --- |"
		for (r = 1; r <= rows; r++) {
			split(order[r], part, FS); printf "| %-26s | %-14s |", part[1], part[2]
			for (c = 1; c <= columns; c++) printf " %13s |", ((order[r], name[c]) in all) ? short(median(all[order[r], name[c]])) : "-"
			ratios = ""
			for (i = 1; i <= count[order[r], "edge"] && i <= count[order[r], "nginx"]; i++)
				if (value[order[r], "nginx", i] > 0) ratios = ratios " " value[order[r], "edge", i] / value[order[r], "nginx", i]
			printf " %10s |\n", ratios == "" ? "-" : sprintf("%.2f", median(ratios))
		}
	}' "$work/values"
}
