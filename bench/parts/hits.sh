# Hits: requests for each second of the server's own processor time, 64 connections kept alive.
# The caches are filled first: a collector that has much to mark makes each hit dearer.

npm_fields=(-H 'accept-encoding: gzip,deflate' -H 'user-agent: npm/11.0.0 node/v24.0.0 linux x64 workspaces/false' -H 'npm-auth-type: web'
	-H 'npm-command: install' -H 'npm-session: 1f0c5d' -H 'pacote-version: 20.0.0' -H 'pacote-req-type: packument'
	-H 'pacote-pkg-id: registry:name' -H 'connection: keep-alive'
	-H 'accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*')

# wrk_rate runs wrk against a server and prints its requests per processor second.
wrk_rate() { # SERVER CASE SECONDS
	local scheme=http port file=$2 fields=() before requests
	port=$(port "$1")
	case $2 in
	npm) file=2k fields=("${npm_fields[@]}") ;;
	tls*) scheme=https port=$(tlsport "$1") file=${2#tls} ;;
	esac
	before=$(cpu "$1")
	requests=$(taskset -c 1 wrk -t1 -c"${conns:-64}" -d"$3s" --timeout 20s "${fields[@]}" "$scheme://127.0.0.1:$port/$file" |
		awk '/requests in/ {n = $1} /Non-2xx|Socket errors/ {print > "/dev/stderr"} END {print n}')
	awk -v n="$requests" -v ns="$(($(cpu "$1") - before))" 'BEGIN {printf "%.3f", n / ns * 1e9}'
}

fill_caches() { # 200 MB of distinct files of 40 KB in each cache
	local s
	for s in "${servers[@]}"; do "$work/load" once -addr "127.0.0.1:$(port "$s")" -path '/any/40k/{n}' -n 5000 >/dev/null; done
}

touch_files() { # the files of the cases, three times: the second and third climb into memory
	local s file
	for s in "${servers[@]}"; do
		for file in 2k 16k 40k 64k 256k 1m 100m; do
			for _ in 1 2 3; do curl -s "http://127.0.0.1:$(port "$s")/$file" >/dev/null; done
		done
	done
}

part_hits() { # ROUNDS SECONDS CASE...
	local rounds=$1 seconds=$2 case s
	shift 2
	need wrk
	fill_caches
	touch_files
	for _ in $(seq "$rounds"); do
		for case in "$@"; do
			local conns=64
			[[ $case != *100m ]] || conns=4
			for s in "${servers[@]}"; do
				[[ $case != tls* ]] || has_tls "$s" || continue
				note "hit $case" "req/CPU-s" "$s" "$(wrk_rate "$s" "$case" "$seconds")"
			done
		done
	done
}
