# What a developer types. Every tool is pinned in tools/ and built with Go; what only the
# system can give (redis-server, protoc, a C compiler) is installed by scripts/need.

VERSION  ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse --quiet --verify HEAD)
# A number of runs: a duration makes a target fail now and then for its own deadline.
FUZZTIME ?= 20000x

# The oldest and the newest Kubernetes that the chart is checked for.
KUBERNETES := 1.34.4 1.37.2

# What make kube needs of Kubernetes itself.
CLUSTER := kube-apiserver kube-controller-manager kube-scheduler kubectl

BIN     := .tools/bin
SCHEMAS := .tools/schemas

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## a static binary with its version, the same for everybody who builds this revision
	CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags '-s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)' -o streamkeeper .

SYSTEMS ?= darwin windows
.PHONY: systems
systems: ## that it builds for the other systems that a release has files for
	for system in $(SYSTEMS); do CGO_ENABLED=0 GOOS=$$system go build -trimpath -buildvcs=false -o /dev/null . || exit; done

.PHONY: demo
demo: ## streams, sessions and streamkeeper on an embedded Redis; Ctrl-C ends it
	go run . demo

# Many tests wait for servers, so more packages run at once than there are processors.
PACKAGES = $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))

# The detector makes collecting garbage dear; the program itself is run without GOGC.
TEST_ENVIRONMENT = GOGC=400 GORACE=atexit_sleep_ms=0

# Prometheus is a lot to install for one check, so only CI insists on it.
.PHONY: test
test: ## everything with the race detector, on an embedded Redis and on real ones that the tests start
	scripts/need cc redis-server $(if $(CI),promtool python3-prometheus-client)
	$(TEST_ENVIRONMENT) go test -race -ldflags=-w -p $(PACKAGES) -timeout 20m ./...

.PHONY: bench
bench: ## throughput and stalls against a real Redis
	scripts/need redis-server
	go run ./bench

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/deadcode $(BIN)/actionlint ## faults, style, formatting, the layers between packages, dead code, and the workflows
	$(BIN)/golangci-lint run
	dead=$$($(BIN)/deadcode -test ./...) && if [ -n "$$dead" ]; then echo "$$dead"; exit 1; fi
	$(BIN)/actionlint -shellcheck= -pyflakes=

PROTOC := protoc --plugin=$(BIN)/protoc-gen-go --go_opt=paths=source_relative $(wildcard burst/pb/*.proto)

.PHONY: generate
generate: $(BIN)/protoc-gen-go ## the Go code of the protobuf messages
	scripts/need protoc
	$(PROTOC) --go_out=.

.PHONY: generate-check
generate-check: $(BIN)/protoc-gen-go ## that the generated code in the repository is current
	scripts/need protoc
	rm -rf .tools/generated && mkdir -p .tools/generated
	$(PROTOC) --go_out=.tools/generated
	scripts/same-code .tools/generated .

.PHONY: chart
chart: $(BIN)/helm $(BIN)/helm-docs $(BIN)/helm-unittest $(BIN)/kubeconform $(KUBERNETES:%=$(SCHEMAS)/%) ## lint, render, validate and test the Helm chart
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check-chart helm/streamkeeper $(SCHEMAS) $(KUBERNETES)

.PHONY: helm-docs
helm-docs: $(BIN)/helm-docs ## the chart's README, from values.yaml
	$(BIN)/helm-docs --chart-search-root helm --sort-values-order file --log-level warning

.PHONY: rules
rules: ## check and test the alert rules
	scripts/need promtool
	scripts/check-rules helm/streamkeeper/rules

.PHONY: monitoring
monitoring: ## test the mixin, and read the dashboard as strictly as Grafana's own types do
	scripts/need promtool
	cd tools/monitoring && go test ./...

.PHONY: live-alerts
live-alerts: ## judge the alerts with a real Prometheus, Pushgateway and node_exporter; five minutes
	scripts/live-alerts

.PHONY: kube
kube: build $(BIN)/helm $(BIN)/etcd $(BIN)/kwok $(CLUSTER:%=$(BIN)/%) ## install, upgrade, test and uninstall the chart on a real Kubernetes API server; builds that first, twenty minutes
	scripts/kube

.PHONY: compose-check
compose-check: build $(BIN)/compose ## that compose.yaml and what it mounts would work
	scripts/need promtool
	cd tools/compose && go test ./...
	$(BIN)/compose compose.yaml ./streamkeeper

$(BIN)/compose: $(wildcard tools/compose/*.go)

.PHONY: licences
licences: $(BIN)/go-licenses ## list whose software is in the binary, under which licences
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/licences >.tools/third-party.md
	mv .tools/third-party.md packaging

.PHONY: licences-check
licences-check: $(BIN)/go-licenses ## that the list is current, and that each licence is allowed
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/licences >.tools/third-party.md
	diff -u packaging/third-party.md .tools/third-party.md || { echo "run make licences" >&2; exit 1; }

.PHONY: image
image: ## build the image and run the demo in it, without a registry; as root, on Debian
	scripts/image

.PHONY: snapshot
snapshot: $(BIN)/nfpm $(BIN)/cyclonedx-gomod ## what a release consists of, in dist, without publishing it; TARGET=linux/amd64 for one target
	scripts/snapshot $(TARGET)

.PHONY: packages
packages: ## try deb, rpm and archive as a user would: install, run, upgrade, purge; as root, on Debian
	scripts/try-packages

.PHONY: dashboard-picture
dashboard-picture: ## draw the dashboard from a real Prometheus, for docs; four minutes
	scripts/dashboard-picture

.PHONY: soak
soak: ## half an hour of accelerated running: goroutines, memory and series must end where they began
	scripts/soak

.PHONY: clean
clean: ## forget the binary and the tools
	rm -rf streamkeeper .tools

# Each tool has a module of its own, so that no two have to agree on a dependency.
$(BIN)/%: tools/%/go.mod tools/%/go.sum
	cd tools/$* && go build -o "$(CURDIR)/$@" tool
	@touch $@

# These are one module, and say which version they are only if they are told so.
$(CLUSTER:%=$(BIN)/%): tools/kubernetes/go.mod tools/kubernetes/go.sum
	scripts/build-kubernetes "$@"
	@touch $@

$(SCHEMAS)/%: $(wildcard tools/kubeschemas/*.go)
	go run ./tools/kubeschemas $(SCHEMAS) $*
	@touch $@
