#!/usr/bin/env bash
# The files of this module that single requests enter, beside the goals of docs/decisions/0020. It
# fails, and lists the files, where a request enters more than its bound: the goal, or the number that
# features have brought it to, which may fall and not grow.
#
#   bench/files.sh            the counts, and the list of each request beyond its bound
#   bench/files.sh REQUEST    the list of one, such as packument-miss, with statements executed
#
# It wants nothing but Go, and loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
declare -A goals=([packument-hit]=20 [tarball-hit]=20 [packument-miss]=55)
declare -A bounds=([packument-hit]=20 [tarball-hit]=20 [packument-miss]=55)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go build -cover -covermode=atomic -coverpkg=pkgedge/... -o "$work/files" ./bench/files

# measure writes a list "statements file" for each request to "$1".
measure() {
	mkdir -p "$1"
	GOCOVERDIR=$1 "$work/files" "$1"
	for dir in "$1"/*-*/; do
		# The sample master's files run in the same process, and are no part of the edge.
		go tool covdata textfmt -i="$dir" -o=/dev/stdout |
			awk '/^pkgedge/ && $NF > 0 { split($1, a, ":"); n[a[1]] += $(NF - 1) } END { for (f in n) print n[f], f }' |
			grep -vE 'pkgedge/(origin/sample|bench)/' | sort -k2 >"${dir%/}.list"
	done
}

# beyond prints the requests of "$1" that enter more files than their bounds.
beyond() {
	local request
	for request in "${!bounds[@]}"; do
		(($(wc -l <"$1/$request.list") <= bounds[$request])) || echo "$request"
	done
}

measure "$work/first"
if [[ -n ${1-} ]]; then
	cat "$work/first/$1.list"
	exit
fi
for list in "$work"/first/*.list; do
	request=$(basename "$list" .list)
	printf '%-20s %3d files%s\n' "$request" "$(wc -l <"$list")" "${goals[$request]:+, bound ${bounds[$request]}, goal ${goals[$request]}}"
done
[[ -n $(beyond "$work/first") ]] || exit 0
# A busy machine may have been late with something: what counts is entered again.
measure "$work/second"
over=$(beyond "$work/second")
for request in $over; do
	printf '\n%s enters more than %d files:\n' "$request" "${bounds[$request]}"
	cat "$work/second/$request.list"
done
[[ -z $over ]]
