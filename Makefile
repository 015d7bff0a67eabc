# "make help" lists the targets. .ci/run is everything a change must pass.
export GOTOOLCHAIN := auto
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 20s
BENCH ?= .
.DEFAULT_GOAL := help
.PHONY: help run test race fuzz bench compare cover lint schema

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

cover: ## coverage of the tests, by function, and cover.html
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -1
	go tool cover -html=cover.out -o cover.html

lint: ## gofmt, vet, staticcheck, deadcode, the words of comments, the arrows
	.ci/lint

schema: ## docs/config.schema.json, from the decoder and the comments of config.yaml
	go run ./edge check --schema --config config.yaml > docs/config.schema.json
