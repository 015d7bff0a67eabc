# Misses: microseconds of the server's own processor time for a request that nobody made before,
# 16 connections. file is a file of 8 KB; packument a document of 4 KB, which the edge rewrites;
# tarball the 8 KB of a package whose packument is stored, which the edge checks against it.
# 300 files before the first round are the warm-up.

miss_cost() { # SERVER PATH FROM COUNT
	local before got
	before=$(cpu "$1")
	got=$(taskset -c 1 "$work/load" once -addr "127.0.0.1:$(port "$1")" -path "$2" -from "$3" -n "$4" -c 16)
	sleep 0.3 # the end of the last fill
	awk -v n="$got" -v ns="$(($(cpu "$1") - before))" 'BEGIN {printf "%.1f", ns / n / 1e3}'
}

part_misses() { # ROUNDS COUNT CASE...
	local rounds=$1 count=$2 round case s from
	shift 2
	for s in "${servers[@]}"; do miss_cost "$s" '/any/8k/warm{n}' 0 300 >/dev/null; done
	for round in $(seq "$rounds"); do
		from=$(((round - 1) * count))
		for case in "$@"; do
			for s in "${servers[@]}"; do
				case $case in
				file) note "miss file 8k" "us CPU" "$s" "$(miss_cost "$s" '/any/8k/{n}' "$from" "$count")" ;;
				packument) note "miss packument 4k" "us CPU" "$s" "$(miss_cost "$s" '/npm/p{n}' "$from" "$count")" ;;
				tarball)
					miss_cost "$s" '/npm/p{n}' "$from" "$count" >/dev/null # its packument, which is asked for first
					note "miss tarball 8k" "us CPU" "$s" "$(miss_cost "$s" '/npm/p{n}/-/p{n}-1.0.0.tgz' "$from" "$count")"
					;;
				esac
			done
		done
	done
}
