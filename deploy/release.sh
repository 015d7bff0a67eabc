#!/usr/bin/env bash
# Builds a release into dist/: static binaries, packages, checksums and a list of the modules in
# them. "make release" calls it. Built twice from one commit, the files are the same.
#
#   PACKAGERS="deb rpm apk" TARGETS="linux/amd64 linux/arm64 darwin/amd64 darwin/arm64" deploy/release.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS=-trimpath
DIST=${DIST:-dist}
TARGETS=${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}
PACKAGERS=${PACKAGERS-deb rpm apk}
VERSION=$(cat edge/command/VERSION)
# The time of the commit, so that the second build has the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
MTIME=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
export SOURCE_DATE_EPOCH

rm -rf "$DIST"
mkdir -p "$DIST"
binaries=()
for target in $TARGETS; do
	binaries+=("$DIST/edge-${target/\//-}")
	GOOS=${target%/*} GOARCH=${target#*/} go build -ldflags='-s -w -buildid=' -o "$DIST/edge-${target/\//-}" ./edge
done

# The host's own build writes the texts that the packages have in them.
host="$DIST/.host"
go build -o "$host" ./edge
"$host" man | gzip -9n >"$DIST/edge.1.gz"
for shell in bash zsh fish; do "$host" completion "$shell" >"$DIST/completion.$shell"; done

for target in $TARGETS; do
	[[ $target == linux/* ]] || continue
	# nfpm takes variables of the environment in some of its keys alone.
	sed -e "s|\${GOARCH}|${target#*/}|g; s|\${VERSION}|$VERSION|g; s|\${MTIME}|$MTIME|g; s|\${DIST}|$DIST|g" deploy/packages/nfpm.yaml >"$DIST/.nfpm.yaml"
	for packager in $PACKAGERS; do
		go tool -modfile=deploy/tools/go.mod nfpm package --config "$DIST/.nfpm.yaml" --packager "$packager" --target "$DIST"
	done
done

# The modules of each binary, with their versions and sums: a bill of materials in the SPDX form.
go run ./deploy/sbom "${binaries[@]}" >"$DIST/edge.spdx.json"
rm -f "$host" "$DIST/.nfpm.yaml"
(cd "$DIST" && sha256sum -- * >SHA256SUMS)
