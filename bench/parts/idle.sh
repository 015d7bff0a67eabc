# Idle connections: bytes of the server's own memory for each connection that had one answer and
# waits, after ten seconds.

idle_cost() { # SERVER COUNT [-tls]
	local before after holder port
	port=$(port "$1")
	[[ -z ${3:-} ]] || port=$(tlsport "$1")
	before=$(resident "$1")
	coproc HOLD { exec "$work/load" idle -addr "127.0.0.1:$port" -path /2k -n "$2" ${3:-}; }
	holder=$HOLD_PID
	read -r -t 120 _ <&"${HOLD[0]}" || { echo "$1 does not hold $2 connections" >&2; return 1; }
	sleep 10
	after=$(resident "$1")
	kill "$holder"
	wait "$holder" 2>/dev/null || true
	echo $(((after - before) / $2))
}

part_idle() { # ROUNDS COUNT
	local s cost
	for _ in $(seq "$1"); do
		for s in "${servers[@]}"; do
			cost=$(idle_cost "$s" "$2") && note "idle plain, $2" "B/connection" "$s" "$cost"
			has_tls "$s" || continue
			cost=$(idle_cost "$s" "$2" -tls) && note "idle TLS, $2" "B/connection" "$s" "$cost"
		done
	done
}
