# Everything is a target with a line of help. Programs go to bin/, tools that only this repository
# needs to .tools/; nothing is installed elsewhere.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

# Relative: make takes a space in a path for the end of a name.
TOOLS := .tools
VENDOR := processor/dashboard/assets/vendor
ARGS ?=
# Runs of each target. Not a duration: in Go 1.26 one ends now and then with "context deadline
# exceeded" and no input, though nothing was found (https://go.dev/issue/75804, mended in Go 1.27).
FUZZTIME ?= 200000x
SCHEDULES ?= 10000
LIVES ?= 10000
MINUTES ?= 10
KILLS ?= 0
POINTS ?= all

# The toolchain of go.mod, also where the environment says GOTOOLCHAIN=local (Docker's golang images):
# an older standard library has vulnerabilities that the programs call. Go fetches it as a module.
export GOTOOLCHAIN := $(shell awk '$$1 == "toolchain" { print $$2 "+auto" }' go.mod)

# Tools are pinned, so that a check means the same today and in a year. The vulnerability database is
# the latest, so that it does not.
PROTOC_GEN_GO := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_VT := github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto@v0.6.0
ESBUILD       := github.com/evanw/esbuild/cmd/esbuild@v0.28.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE      := golang.org/x/tools/cmd/deadcode@v0.52.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.8.0
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
STRIPE_MOCK   := github.com/stripe/stripe-mock@v0.203.0

# need,tool,how to get it
define need
@command -v $(1) >/dev/null || { echo "make: $(1) is missing: $(2)" >&2; exit 1; }
endef
need-go = $(call need,go,install Go 1.26 or later from https://go.dev/dl)
need-npm = $(call need,npm,install Node.js (apt-get install npm or brew install node); it fetches the embedded ClickHouse engine)
need-java = $(call need,java,apt-get install default-jre-headless or brew install openjdk)
need-mvn = $(call need,mvn,apt-get install maven or brew install maven; it fetches Apache Kafka)
need-promtool = $(call need,promtool,apt-get install prometheus or brew install prometheus; it checks the alerts)
need-protoc = $(call need,protoc,apt-get install protobuf-compiler or brew install protobuf)

.PHONY: run
run: engine build ## start everything on this machine; flags: make run ARGS="--no-demo"
	@exec bin/local run $(ARGS)

.PHONY: build
build: ## build the programs into bin/, without cgo
	$(need-go)
	@mkdir -p bin
	CGO_ENABLED=0 go build -o bin/ ./ingest ./processor ./deploy/loadgen ./deploy/local

.PHONY: engine
engine: $(TOOLS)/.npm $(VENDOR)/uPlot.LICENSE ## fetch the embedded ClickHouse engine and the page's chart library

.PHONY: tools
tools: engine $(TOOLS)/bin/stripe-mock $(TOOLS)/browser/.npm ## fetch what the local run and the tests need and Go does not bring

# npm takes the one package of the engine that fits this machine, and the chart library that the page
# embeds, both with the checksums of the lock file. An optional package whose checksum is wrong is left
# out by npm without an error, so the engine is looked for afterwards.
$(TOOLS)/.npm: deploy/package.json deploy/package-lock.json
	$(need-npm)
	@mkdir -p $(TOOLS)
	cp deploy/package.json deploy/package-lock.json $(TOOLS)/
	npm ci --prefix $(TOOLS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@ls $(TOOLS)/node_modules/@chdb/lib-*/libchdb.so >/dev/null || { echo "make: npm has not installed libchdb: no package fits this machine, or its checksum is not the one of deploy/package-lock.json" >&2; exit 1; }
	@touch $@
# What deploy/browser runs against the edge. A folder of its own: make run needs none of it.
$(TOOLS)/browser/.npm: deploy/browser/package.json deploy/browser/package-lock.json
	$(need-npm)
	@mkdir -p $(TOOLS)/browser
	cp deploy/browser/package.json deploy/browser/package-lock.json $(TOOLS)/browser/
	cd $(TOOLS)/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
# The package is unpacked and not installed: Debian's Chromium would load it into every test.
.PHONY: lists
lists: $(TOOLS)/ublock/.unpacked ## fetch the public block lists, from Debian's package of uBlock Origin
$(TOOLS)/ublock/.unpacked:
	$(call need,dpkg,the block lists are taken from a Debian package)
	@mkdir -p $(TOOLS)/ublock
	cd $(TOOLS)/ublock && apt-get download -qq webext-ublock-origin-chromium && dpkg -x webext-ublock-origin-chromium_*.deb . && rm *.deb
	@touch $@
$(VENDOR)/uPlot.LICENSE: $(TOOLS)/.npm
	cp $(TOOLS)/node_modules/uplot/dist/uPlot.iife.min.js $(TOOLS)/node_modules/uplot/dist/uPlot.min.css $(VENDOR)/
	cp $(TOOLS)/node_modules/uplot/LICENSE $@
	@touch $@

need-cc = $(call need,$(firstword $(shell go env CC 2>/dev/null) cc),the race detector needs a C compiler (apt-get install build-essential or xcode-select --install))

# Packages that are tested at a time: tests wait for engines, brokers and pages (deploy/DESIGN.md).
PACKAGES ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > 4 ? cores : 4)))
# Those that take longest begin first, so that none is left alone at the end.
LONGEST := ./deploy/browser ./deploy/e2e ./processor/histories ./ingest/clicks ./sql ./processor ./processor/simulation \
	./processor/consume
# The order of a package's tests: another number is another order, and "on" draws one.
SHUFFLE ?= 1

# Nobody debugs a test's program: without DWARF it is linked in half the time, each time that it is run.
.PHONY: test
test: export GOFLAGS := $(GOFLAGS) -ldflags=-w
test: tools ## run all tests but the proofs against the real engines, with the race detector
	$(need-go)
	$(need-cc)
	$(need-java)
	$(need-mvn)
	$(need-promtool)
	(cd deploy/manifests && go test -count=1 ./...) & manifests=$$!; \
	CGO_ENABLED=1 CI_REAL_SERVICES=1 go test -race -shuffle=$(SHUFFLE) -p $(PACKAGES) -timeout=20m $(LONGEST) ./...; \
	packages=$$?; wait $$manifests && exit $$packages

# Proofs have the build tag proof, or play a few histories, orders and schedules under the race
# detector (deploy/race) and many without it. Those that start programs or engines want the machine
# for themselves, hence -p 1.
PROOFS := Chaos|Kill|Dies|FullDisk|Restore|EveryCall|Programs|Guides|MarkedAddress|Upgrade|SecuredKafka|OfReadme
WITHOUT_RACE := PlantedFaults|UnguessableShares|Scripts|EveryOrder|LivesConverge|Subscription|Contract|TestFirstSales$$|HandCount|TestPast$$|NativeBlock|PartsAnswer|TestRoles

.PHONY: proof
proof: tools ## the long proofs: crashes at POINTS (all) calls, kills, LIVES and SCHEDULES (10000 each), MINUTES (10) of chaos
	$(need-go)
	$(need-java)
	$(need-mvn)
	TRIBUTARY_CRASH_POINTS=$(POINTS) TRIBUTARY_CHAOS_MINUTES=$(MINUTES) CI_REAL_SERVICES=1 go test -tags proof -p 1 -count=1 -timeout=0 \
		-run '$(PROOFS)' ./deploy/chaos ./deploy/e2e ./deploy/local/apache ./processor ./processor/clickhouse/crash ./processor/histories \
		./sql/access
	CI_REAL_SERVICES=1 go test -tags proof -count=1 -p 1 -timeout=0 ./ingest/clicks ./deploy/browser
	CI_REAL_SERVICES=1 go test -tags proof -count=1 -run 'AreMoved|AreKept|FullDatabase|OfBrowsers|AfterCrash|OddProfile|TestQueries|QuestionsAgree|ClusterLayout' ./sql
	CI_REAL_SERVICES=1 go test -count=1 -timeout=0 -run '$(WITHOUT_RACE)' ./processor/consume ./processor/ledger \
		./processor/clickhouse ./processor/clickhouse/clickhousetest ./processor/join ./processor/query \
		./processor/reconcile ./processor/rollup ./sql/access ./deploy/loadgen/demo
	GOGC=400 TRIBUTARY_LIVES=$(LIVES) CI_REAL_SERVICES=1 go test -count=1 -timeout=0 \
		-run 'Truth|ShapesAgree|Subscription|EveryOrder|Hostile|Audit|Rebuild|Erase|PassedOn' ./processor/histories
	go test -count=1 -timeout=0 ./processor/simulation -schedules $(SCHEDULES)

.PHONY: check
check: format vet lint deadcode vulnerabilities generated types tidy ## formatting, vet, lint, unreachable code, known vulnerabilities, generated code, types, go.mod

.PHONY: format
format: ## name the files that are not formatted
	$(need-go)
	@unformatted=$$(gofmt -l deploy ingest processor schemas sql); \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w mends it):"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## go vet, for Linux and for macOS
	$(need-go)
	go vet -tags proof ./...
	cd deploy/manifests && go vet ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./ingest/... ./processor/... ./deploy/local/...

.PHONY: lint
lint: $(TOOLS)/bin/golangci-lint ## golangci-lint with .golangci.yml
	$(TOOLS)/bin/golangci-lint run ./...

.PHONY: deadcode
deadcode: $(TOOLS)/bin/deadcode ## name the functions that neither a program nor a test can reach
	@unreachable=$$($(TOOLS)/bin/deadcode -test -tags proof ./...) || exit 1; \
	if [ -n "$$unreachable" ]; then echo "$$unreachable"; exit 1; fi

# The Go vulnerability database is a Go module too: whoever can fetch modules can look it up.
.PHONY: vulnerabilities
vulnerabilities: $(TOOLS)/bin/govulncheck ## govulncheck: fails on a known vulnerability that the programs call
	@entries=$$(cd $(TOOLS) && GOFLAGS=-mod=mod go mod download -json golang.org/x/vulndb@latest | awk -F'"' '$$2 == "Dir" { print $$4 "/data/osv" }'); \
	[ -d "$$entries" ] || { echo "make: cannot fetch the vulnerability database, the module golang.org/x/vulndb" >&2; exit 1; }; \
	$(TOOLS)/bin/govulncheck -db "file://$$entries" ./...

# What is committed is built twice, in two directories, and must have the same bytes: whoever has the
# commit can make the same file. deploy/Dockerfile builds with the same flags.
COMMIT = $(shell git rev-parse HEAD)
.PHONY: release
release: engine sbom ## build the last commit for Linux into bin/release, twice alike, with checksums
	$(need-go)
	@rm -rf bin/release && mkdir -p bin/release && mkdir -p $(TOOLS)/release && rm -rf $(TOOLS)/release/* && \
	for copy in first second-time; do \
		mkdir $(TOOLS)/release/$$copy && git archive HEAD | tar -x -C $(TOOLS)/release/$$copy && \
		cp $(VENDOR)/uPlot* $(TOOLS)/release/$$copy/$(VENDOR)/ && \
		for arch in amd64 arm64; do \
			(cd $(TOOLS)/release/$$copy && CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=false \
				-ldflags "-s -w -buildid= -X tributary/schemas/program.commit=$(COMMIT)" -o out/$$arch/ ./ingest ./processor) || exit 1; \
		done; \
	done && \
	diff -r $(TOOLS)/release/first/out $(TOOLS)/release/second-time/out && \
	cp -R $(TOOLS)/release/first/out/. bin/release/ && cp bin/sbom.json bin/licenses.txt bin/release/ && rm -rf $(TOOLS)/release && \
	(cd bin/release && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS && cat SHA256SUMS)

.PHONY: sbom
sbom: $(TOOLS)/bin/cyclonedx-gomod ## write bin/sbom.json (CycloneDX) and bin/licenses.txt
	@mkdir -p bin
	$(TOOLS)/bin/cyclonedx-gomod mod -licenses -json -output bin/sbom.json .
	@awk -F'"' '/^      "name":/ { name = $$4 } /^      "version":/ { print name, $$4, "LICENSE" } \
		/"id":/ { print name, "is", $$4 }' bin/sbom.json | awk '$$2 == "is" { licence[$$1] = $$3; next } { version[$$1] = $$2 } \
		END { for (name in version) print name, version[name], (name in licence) ? licence[name] : "(not recognised: read its LICENSE)" }' | sort >bin/licenses.txt
	@awk -F'"' '/node_modules/ { sub("node_modules/", "", $$2); name = $$2 } /"version"/ { version = $$4 } \
		/"license"/ && name { print name, version, $$4 }' deploy/package-lock.json >>bin/licenses.txt
	@echo "bin/sbom.json and bin/licenses.txt name $$(wc -l <bin/licenses.txt) components"

# The code is generated into a copy and compared, so that a check never changes the tree. The line that names protoc's
# own version is not compared: it differs between machines and means nothing.
.PHONY: generated
generated: $(TOOLS)/bin/protoc-gen-go $(TOOLS)/bin/protoc-gen-go-vtproto $(TOOLS)/bin/esbuild ## check that generated code is up to date
	$(need-protoc)
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp go.mod go.sum "$$copy" && cp -R schemas "$$copy/" && \
	mkdir -p "$$copy/ingest/clicks" && cp -R ingest/clicks/script ingest/clicks/script.go "$$copy/ingest/clicks/" && \
	(cd "$$copy" && PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" go generate ./schemas ./ingest/clicks) && \
	diff -ru -I '^// *[[:space:]]protoc  *v' schemas "$$copy/schemas" && \
	diff -u ingest/clicks/script/t.js "$$copy/ingest/clicks/script/t.js" || { echo "generated code is not up to date: run make generate"; exit 1; }

.PHONY: types
types: $(TOOLS)/.npm ## check the types of the tracking script
	$(TOOLS)/node_modules/.bin/tsc --noEmit --strict --target es2017 --lib es2017,dom,dom.iterable ingest/clicks/script/t.ts

.PHONY: tidy
tidy: ## check that the files go.mod and go.sum are tidy
	$(need-go)
	go mod tidy -diff
	cd deploy/manifests && go mod tidy -diff

.PHONY: generate
generate: $(TOOLS)/bin/protoc-gen-go $(TOOLS)/bin/protoc-gen-go-vtproto $(TOOLS)/bin/esbuild ## generate code from the Protobuf definitions, and build the tracking script
	$(need-protoc)
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" go generate ./schemas ./ingest/clicks

.PHONY: golden
golden: tools ## rewrite the golden answers of the queries and the generated schema
	go test ./sql -update
	@git status --short sql

.PHONY: bench
bench: tools build ## race edge and processor against their peers, over kfake and Apache Kafka, and take Kafka away under load (10 minutes)
	$(need-java)
	$(need-mvn)
	CGO_ENABLED=0 go build -o bin/ ./deploy/bench
	bin/bench race $(ARGS)
	bin/bench enrich
	bin/bench load
	bin/bench events
	bin/bench outage --kill

.PHONY: bench-queries
bench-queries: tools ## time the page's questions over a history on disk (ARGS="--clicks 10000000 --data DIR"), and what views cost
	$(need-go)
	CGO_ENABLED=0 go build -o bin/ ./deploy/bench
	bin/bench queries $(ARGS)
	bin/bench views

.PHONY: outages
outages: build ## Kafka away, an edge killed meanwhile, edges restarted behind nginx, all under load: nothing may be lost (30 seconds)
	$(call need,nginx,apt-get install nginx or brew install nginx)
	CGO_ENABLED=0 go build -o bin/ ./deploy/bench
	bin/bench outage --for 5s --rate 1000 --kill
	bin/bench restart --for 8s --rate 500

.PHONY: microbench
microbench: tools ## run the packages' benchmarks, into bin/microbench.txt, for benchstat
	@mkdir -p bin
	go test -run '^$$' -bench . -benchmem ./... | tee bin/microbench.txt

.PHONY: sim
sim: ## run SCHEDULES (10000) schedules of faults in virtual time; SEED=17 runs and describes one
	$(need-go)
	go test ./processor/simulation -timeout=0 -run 'Simulation|BrokenRules' $(if $(SEED),-seed $(SEED) -run Simulation -v,-schedules $(SCHEDULES) -v) | grep -v '^=== \|--- PASS: TestSimulation/\|--- PASS: TestBroken.*/'

.PHONY: lives
lives: ## LIVES (10000) customers' lives in three orders, by ten subscriptions, and some in every order; SEED=17 runs one
	$(need-go)
	GOGC=400 TRIBUTARY_LIVES=$(LIVES) go test ./processor/histories -count=1 -timeout=0 -run 'LedgerEqualsTruth|Subscription|EveryOrder' $(if $(SEED),-seed $(SEED)) -v | grep -v '^=== \|--- PASS: .*/'

.PHONY: chaos
chaos: tools ## kill everything for MINUTES (10), at least KILLS (0) times, over three real Kafka brokers and the real engine
	$(need-go)
	$(need-java)
	$(need-mvn)
	TRIBUTARY_CHAOS_MINUTES=$(MINUTES) TRIBUTARY_CHAOS_KILLS=$(KILLS) CI_REAL_SERVICES=1 go test -tags proof ./deploy/chaos -count=1 -timeout=0 -run Chaos -v

.PHONY: fuzz
fuzz: ## fuzz every parser, FUZZTIME (200000x) runs of each
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

.PHONY: clean
clean: ## delete bin/ and .tools/; data/ is kept
	rm -rf bin $(TOOLS)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# A tool is built again when its version above changes.
define tool
$(TOOLS)/bin/$(1): $(TOOLS)/.versions/$(subst /,_,$(2))
	$$(need-go)
	GOBIN="$(CURDIR)/$(TOOLS)/bin" go install $(2)
	@touch $$@
$(TOOLS)/.versions/$(subst /,_,$(2)):
	@mkdir -p $(TOOLS)/.versions && touch $$@
endef
$(eval $(call tool,protoc-gen-go,$(PROTOC_GEN_GO)))
$(eval $(call tool,protoc-gen-go-vtproto,$(PROTOC_GEN_VT)))
$(eval $(call tool,esbuild,$(ESBUILD)))
$(eval $(call tool,golangci-lint,$(GOLANGCI_LINT)))
$(eval $(call tool,deadcode,$(DEADCODE)))
$(eval $(call tool,govulncheck,$(GOVULNCHECK)))
$(eval $(call tool,cyclonedx-gomod,$(CYCLONEDX)))
$(eval $(call tool,stripe-mock,$(STRIPE_MOCK)))
