# HTTP/2 hits: requests for each second of the server's own processor time, 16 connections with
# 16 streams each. Over TLS, and in the clear with prior knowledge for Varnish, which has no TLS.

part_http2() { # ROUNDS SECONDS CASE...
	local rounds=$1 seconds=$2 case s url before requests
	shift 2
	command -v h2load >/dev/null || { echo "not installed, left out: h2load" >&2; return; }
	touch_files
	for _ in $(seq "$rounds"); do
		for case in "$@"; do
			for s in "${servers[@]}"; do
				if has_tls "$s"; then url="https://127.0.0.1:$(tlsport "$s")/$case"; else url="http://127.0.0.1:$(port "$s")/$case"; fi
				before=$(cpu "$s")
				requests=$(taskset -c 1 h2load -t1 -c16 -m16 -D "$seconds" --warm-up-time=0 "$url" 2>&1 |
					awk '/^requests:/ {n = $8; bad = $10 + $12} /^status codes:/ {ok = $3} END {if (bad || ok < n) print "failed " bad > "/dev/stderr"; print n}')
				note "hit h2 $case" "req/CPU-s" "$s" "$(awk -v n="$requests" -v ns="$(($(cpu "$s") - before))" 'BEGIN {printf "%.3f", n / ns * 1e9}')"
			done
		done
	done
}
