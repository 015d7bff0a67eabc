# "make help" lists the targets. .ci/run is everything a change must pass.
export GOTOOLCHAIN := auto
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 20s
BENCH ?= .
.DEFAULT_GOAL := help
.PHONY: help run test race fuzz bench pgo compare cover lint schema release axe screenshots chart

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## run the edge before two sample masters, on loopback
	go run ./edge

test: ## the tests
	go test ./...

race: ## the tests, under the race detector
	go test -race ./...

fuzz: ## each fuzz target in turn, for FUZZTIME (20s)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' "$$file"); do \
			echo "== $$(dirname "$$file") $$name"; \
			go test -run xxx -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
		done; \
	done

bench: ## the benchmarks whose name matches BENCH (all of them)
	go test -run xxx -bench '$(BENCH)' -benchmem ./...

compare: ## the edge beside nginx, Traffic Server and Varnish: one table, three minutes
	bench/all.sh quick

pgo: ## edge/default.pgo anew, by which the compiler lays out the edge (needs nginx and wrk)
	bench/pgo.sh

cover: ## coverage of the tests, by function, and cover.html
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -1
	go tool cover -html=cover.out -o cover.html

lint: ## gofmt, vet, staticcheck, deadcode, the words of comments, the arrows
	.ci/lint

AXE := edge/edgetest/chromium/axe
AXE_SUM := e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745

axe: ## fetch axe-core (npm), the rules of accessibility that tests hold the page to
	mkdir -p $(AXE)
	cd $(AXE) && npm pack --silent axe-core@4.14.1 && echo "$(AXE_SUM)  axe-core-4.14.1.tgz" | sha256sum -c --quiet - && \
		tar xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js package/LICENSE && rm axe-core-4.14.1.tgz

screenshots: ## the pictures of the README, by a headless Chromium
	mkdir -p docs/images
	EDGE_SCREENSHOTS="$(CURDIR)/docs/images" go test -count=1 -run '^TestScreenshots$$' ./edge/daemon

schema: ## docs/config.schema.json, from the decoder and the comments of config.yaml
	go run ./edge check --schema --config config.yaml > docs/config.schema.json

chart: ## deploy/helm/cases/*.rendered.yaml, by Helm's engine (minutes, the first time)
	cd deploy/helm/render && go run . ../edge ../cases

release: ## dist/: static binaries, deb, rpm, apk, checksums and a bill of materials
	deploy/release.sh
