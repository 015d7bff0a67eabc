# npm ci of some 500 packages through the edge and through Verdaccio: processor time of the server
# and seconds of the client, with an empty cache of npm's and a warm server. It needs node, npm and
# the registry that npm is set to.

packages_of_a_project='{"name":"bench","version":"1.0.0","private":true,"dependencies":{"express":"4.19.2","webpack":"5.91.0",
"webpack-dev-server":"5.0.4","jest":"29.7.0","eslint":"8.57.0","react":"18.3.1","react-dom":"18.3.1","typescript":"5.4.5","lodash":"4.17.21"}}'

npm_ci() { # PORT: one npm ci; prints its seconds
	local dir=$work/npm-$1 started
	mkdir -p "$dir"
	rm -rf "$dir"/{node_modules,cache}
	cp "$work/project/package.json" "$dir"
	sed "s#http://127.0.0.1:[0-9]*/#http://127.0.0.1:$1/#" "$work/project/package-lock.json" >"$dir/package-lock.json"
	started=$(date +%s%N)
	(cd "$dir" && taskset -c 1 timeout 300 npm ci --cache "$dir/cache" --registry "http://127.0.0.1:$1/" --ignore-scripts --no-audit --no-fund >"$dir/out" 2>&1) ||
		{ echo "npm ci failed:" >&2; tail -5 "$dir/out" >&2; return 1; }
	awk -v ns=$(($(date +%s%N) - started)) 'BEGIN {printf "%.2f", ns / 1e9}'
}

part_npm() { # ROUNDS
	local registry s before took edge verdaccio
	need npm node
	registry=$(npm config get registry)
	edge=$(($(port origin) + 6)) verdaccio=$(($(port origin) + 7))
	mkdir -p "$work/project" "$work/verdaccio"
	# It asks for node-fetch by a tag, which not every registry has.
	echo '{"name":"verdaccio-bench","private":true,"overrides":{"node-fetch":"2.7.0"}}' >"$work/verdaccio/package.json"
	(cd "$work/verdaccio" && timeout 300 npm install --no-audit --no-fund --ignore-scripts verdaccio@6) >"$work/verdaccio.install" 2>&1 ||
		{ echo "not installed, left out: verdaccio" >&2; return; }
	cat >"$work/verdaccio/config.yaml" <<CONF
storage: $work/verdaccio/storage
uplinks: { up: { url: "$registry", maxage: 1h } }
packages: { "**": { access: \$all, proxy: up } }
log: { type: stdout, format: pretty, level: error }
CONF
	cat >"$work/npm-edge.yaml" <<CONF
listen: 127.0.0.1:$edge
public_url: http://127.0.0.1:$edge
admin: { listen: "" }
cache: { dir: $work/npm-edge-cache, disk: 1GiB, memory: 256MiB }
log: { access: "off" }
sites: [ { name: npm, kind: npm, fresh: { metadata: 1h }, masters: [ { url: "$registry", role: primary } ] } ]
CONF
	GOMAXPROCS=1 taskset -c 0 "${EDGE_BINARY:-$work/edge}" --config "$work/npm-edge.yaml" >"$work/npm-edge.out" 2>&1 & pids+=($!)
	pid[npm-edge]=$!
	taskset -c 0 node "$work/verdaccio/node_modules/verdaccio/bin/verdaccio" --config "$work/verdaccio/config.yaml" --listen "127.0.0.1:$verdaccio" >"$work/verdaccio.out" 2>&1 & pids+=($!)
	pid[verdaccio]=$!
	for port in "$edge" "$verdaccio"; do curl -s -o /dev/null --fail --retry 30 --retry-connrefused --retry-delay 1 --retry-all-errors "http://127.0.0.1:$port/-/ping"; done
	echo "$packages_of_a_project" >"$work/project/package.json"
	(cd "$work/project" && timeout 300 npm install --package-lock-only --ignore-scripts --no-audit --no-fund --cache "$work/project-cache" --registry "http://127.0.0.1:$edge/" >"$work/project.out" 2>&1) ||
		{ echo "no lockfile:" >&2; tail -5 "$work/project.out" >&2; return 1; }
	servers+=(verdaccio)
	echo "$(grep -c '"node_modules/' "$work/project/package-lock.json") packages" >&2
	npm_ci "$edge" >/dev/null
	npm_ci "$verdaccio" >/dev/null
	for _ in $(seq "$1"); do
		for s in edge verdaccio; do
			local process=$s at=$verdaccio
			[[ $s != edge ]] || process=npm-edge at=$edge
			before=$(cpu "$process")
			took=$(npm_ci "$at")
			note "npm ci" "CPU-s" "$s" "$(awk -v ns=$(($(cpu "$process") - before)) 'BEGIN {printf "%.3f", ns / 1e9}')"
			note "npm ci" "s of the client" "$s" "$took"
		done
	done
}
