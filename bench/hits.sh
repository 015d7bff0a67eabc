#!/usr/bin/env bash
# Hits alone, of the edge with and without its fast lane beside nginx, as bench/all.sh measures
# them.
#
#   bench/hits.sh [ROUNDS] [SECONDS] [CASE]...     cases: 2k npm 16k 40k 64k 256k 1m 100m tls2k tls40k ...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/parts/hits.sh"
rounds=${1:-3} seconds=${2:-5}
shift $(($# < 2 ? $# : 2))
cases=("$@")
((${#cases[@]})) || cases=(2k npm 40k tls2k tls40k)
setup
start nginx lane-off edge
part_hits "$rounds" "$seconds" "${cases[@]}"
table
