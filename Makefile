# make run and make test are the two to know; make help shows the rest.

DATE    := $(shell date -u +%Y-%m-%d)
LDFLAGS := -s -w -X main.date=$(DATE)

# FUZZTIME is how long make fuzz gives each target.
FUZZTIME ?= 60s

# ISOLATION is how many random statements make fuzz compares between users.
ISOLATION ?= 1000000

# CHANGES is how many changes make soak makes.
CHANGES ?= 1000000

# STATEMENTS is how many random statements, and values through each SDK, make soak
# compares with PostgreSQL.
STATEMENTS ?= 100000

.PHONY: help build run test bench soak fuzz ts clean provider
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## build bin/kalam
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/kalam ./cmd/kalam

run: build ## serve demo data from ./demo on http://localhost:8080
	./bin/kalam serve --demo --data demo

test: ## check everything
	@.ci/test

bench: build ## measure the server against a bare echo
	go run ./bench

ts: ## build the TypeScript packages and their WebAssembly module into ts/*/dist
	@.ci/npm
	cd ts && node build.mjs

soak: build ts ## a million random changes over bad connections, a server that is killed, a hostile user, snapshots of a million rows
	KALAM_DELIVERY_CHANGES=$(CHANGES) go test -count=1 -timeout 3h -v -run TestEveryChangeIsDeliveredOnce ./internal/node
	KALAM_FILE_CRASH_ROUNDS=100 go test -count=1 -timeout 1h -run TestCrashLeavesNoFileWithoutARow ./internal/node
	KALAM_SNAPSHOT_ROWS=1000 go test -count=1 -timeout 1h -run TestStalledSnapshots ./internal/server
	KALAM_COMPARE_STATEMENTS=$(STATEMENTS) .ci/postgres go test -count=1 -timeout 3h -tags postgres -run TestRandomStatementsAnswerAsPostgreSQLDoes ./internal/engine
	KALAM_POLICY_STATEMENTS=$(STATEMENTS) .ci/postgres go test -count=1 -timeout 3h -tags postgres -run TestRandomPoliciesMeanWhatPostgreSQLsDo ./internal/engine
	KALAM_COMPARE_VALUES=$(STATEMENTS) .ci/postgres go test -count=1 -timeout 1h -tags postgres -run TestGoValuesAreStoredAsPostgreSQLStoresThem ./client
	cd ts && KALAM_COMPARE_VALUES=$(STATEMENTS) ../.ci/postgres node --test test/postgres-values.mjs
	KALAM_HOSTILE_ROUNDS=20000 go test -count=1 -timeout 1h -v -run TestHostileUserEndsNothingOfOthers ./internal/node
	KALAM_RECONNECTS=10000 go test -count=1 -run TestReconnectsLeaveNothingBehind ./client

fuzz: ## fuzz each target for FUZZTIME (60s), and run ISOLATION random statements (1000000)
	@.ci/fuzz $(FUZZTIME) $(ISOLATION)

provider: ## an OpenID provider and a page to sign in on, at http://localhost:9090
	cd bench/peers && go run ./oidc -page localhost:9090 -dir ../../demo/provider -life 1m

clean: ## remove what was built, the demo data, and what the walk of the README leaves
	rm -rf bin demo demo.tar restored ts/*/dist ts/node_modules
