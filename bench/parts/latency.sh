# Latency at equal rates: 64 connections, 2 KB, in microseconds from the moment at which a request
# was due. A server that cannot hold the rate shows its queue.

part_latency() { # ROUNDS SECONDS RATE...
	local rounds=$1 seconds=$2 rate s got
	shift 2
	touch_files
	for _ in $(seq "$rounds"); do
		for rate in "$@"; do
			for s in "${servers[@]}"; do
				read -r -a got < <(taskset -c 1 "$work/load" rate -addr "127.0.0.1:$(port "$s")" -path /2k -rps "$rate" -for "${seconds}s")
				note "p50 at $rate/s" us "$s" "${got[1]}"
				note "p99 at $rate/s" us "$s" "${got[2]}"
				note "p99.9 at $rate/s" us "$s" "${got[3]}"
			done
		done
	done
}
