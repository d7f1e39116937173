# Targets for development, CI and deployment. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The binary; scripts/test-cluster.sh accepts another one.
JUMUN ?= target/release/jumun
# Tests are always built for the whole workspace: with `-p`, cargo would build the dependencies again with other features.
TEST := cargo test --locked --workspace
# Compares the generated files with the code, or writes them if JUMUN_WRITE_REFERENCE is set.
REFERENCE := $(TEST) --quiet --bin jumun reference::
DRILL := $(TEST) --profile dist --test platform -- --ignored --nocapture --exact platform::
TOOLS := $${JUMUN_TOOLS_DIR:-$${XDG_CACHE_HOME:-$$HOME/.cache}/jumun-tools}/bin

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start all contexts in one process (data in ./data)
	@$(JUMUN) up

.PHONY: build
build: ## Build the binary (profile release)
	@command -v cargo >/dev/null || { echo "make: Rust is missing: install it with rustup (https://rustup.rs)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: a C compiler is missing: apt-get install gcc" >&2; exit 1; }
	cargo build --release --locked -p jumun

.PHONY: demo
demo: ## Run all demos against the instance started by `make run`
	@$(JUMUN) demo all

.PHONY: tools
tools: ## Install the tools of the tests: PostgreSQL, NATS, Jaeger, grpcurl, buf, schemathesis
	@scripts/tools.sh

.PHONY: check
check: ## Run before each commit: formatting, clippy, and all tests that start no server and no process
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(TEST) --tests -- --skip platform::

.PHONY: test
test: tools ## Run all tests: on SQLite and the embedded bus, on PostgreSQL and JetStream, and with real processes
	$(TEST) --no-fail-fast
	JUMUN=target/debug/jumun scripts/fuzz-http.sh 10 fuzzing
	JUMUN_SERVERS_FSYNC=off scripts/servers.sh --only postgres,nats $(MAKE) --no-print-directory test-servers
	JUMUN_SERVERS_FSYNC=off scripts/servers.sh $(TEST) --test platform processes:: -- --ignored --test-threads 2

.PHONY: test-servers
test-servers:
	JUMUN_TEST_BACKEND=servers $(TEST) --test mechanism --test protocol -- --include-ignored
	# They wait more than they compute.
	JUMUN_TEST_BACKEND=servers $(TEST) --test platform journeys:: -- --test-threads 4

.PHONY: test-chart
test-chart: ## Check the chart against the protos and the contexts, with helm lint, kube-score and istioctl
	@scripts/tools.sh helm kube-score istioctl
	@scripts/chart.sh
	@scripts/istio.sh --check
	JUMUN_TEST_TOOLS="$(TOOLS)" $(TEST) --test platform chart:: -- --include-ignored

.PHONY: test-mesh
test-mesh: test-chart ## Test the mesh: real Envoys configured by istiod from the chart, with real processes behind them
	@scripts/tools.sh postgres nats-server envoy mesh
	scripts/servers.sh --only postgres,nats $(TEST) --test platform mesh:: -- --ignored --nocapture --test-threads 1

.PHONY: test-cluster
test-cluster: ## Test the chart with IMAGE on the cluster of KUBECONFIG, which needs Istio
	@IMAGE="$(IMAGE)" scripts/test-cluster.sh

.PHONY: fuzz
fuzz: ## Fuzz requests, page tokens and filters, for JUMUN_FUZZ_SECONDS (60) each
	JUMUN_FUZZ_SECONDS=$${JUMUN_FUZZ_SECONDS:-60} $(TEST) --test platform http::fuzz:: -- --nocapture --test-threads 1

.PHONY: fuzz-http
fuzz-http: build ## Test the HTTP API against /openapi.json with schemathesis: more than 2,000 cases
	@scripts/tools.sh schemathesis
	@JUMUN=$(JUMUN) scripts/fuzz-http.sh 100

.PHONY: lint
lint: ## Check formatting, clippy, generated documents, dependencies and protos (also for breaking changes)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(REFERENCE)
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; else echo "make: cargo-deny is missing: the dependencies were not checked (make deny says how)" >&2; fi
	@scripts/tools.sh buf
	@if [ -x "$(TOOLS)/buf" ]; then "$(TOOLS)/buf" lint && "$(TOOLS)/buf" breaking --against proto/baseline.binpb; else echo "make: buf is missing (it comes with npm): the protos were not checked" >&2; exit 1; fi

.PHONY: deny
deny: ## Check the dependencies against deny.toml: advisories, licences, bans, sources
	@command -v cargo-deny >/dev/null || { echo "make: cargo-deny is missing, and takes minutes to build: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --locked check

.PHONY: proto-baseline
proto-baseline: ## Make the current protos the baseline of `buf breaking`: at a release, or for an intended break
	@scripts/tools.sh buf
	"$(TOOLS)/buf" build --exclude-source-info -o proto/baseline.binpb

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: docs
docs: ## Generate docs/reference and helm/jumun/contexts.json from the code and the protos
	JUMUN_WRITE_REFERENCE=1 $(REFERENCE)

.PHONY: istio
istio: ## Render the Istio objects of the chart to istio/*.yaml, for use without Helm
	@scripts/tools.sh helm
	@scripts/istio.sh

# The image of `image`; for the variables of `canary`, `promote` and `rollback` see scripts/release.sh.
IMAGE ?= ghcr.io/jumun/jumun:dev

.PHONY: image
image: ## Build the image IMAGE with docker, podman or buildah
	@scripts/image.sh build "$(IMAGE)"
	@scripts/image.sh check "$(IMAGE)"

.PHONY: image-from-binary
image-from-binary: ## Build IMAGE from a local release build, without pulling a base image
	@scripts/image.sh from-binary "$(IMAGE)"
	@scripts/image.sh check "$(IMAGE)"

.PHONY: push
push: ## Push IMAGE to its registry
	@scripts/image.sh push "$(IMAGE)"

.PHONY: package
package: ## Package the chart to target/chart, with VERSION if it is set
	@scripts/tools.sh helm
	"$(TOOLS)/helm" package helm/jumun --destination target/chart $(if $(VERSION),--version "$(VERSION)" --app-version "$(VERSION)")

.PHONY: push-chart
push-chart: ## Push the packaged chart to the registry CHARTS, e.g. oci://ghcr.io/jumun/charts
	@: "$${CHARTS:?which registry? e.g. CHARTS=oci://ghcr.io/jumun/charts}"
	"$(TOOLS)/helm" push target/chart/jumun-*.tgz "$$CHARTS"

.PHONY: deploy
deploy: ## Install or upgrade the release, with HELM_FLAGS such as "--values my.yaml"
	helm upgrade --install "$${RELEASE:-jumun}" helm/jumun --namespace "$${NAMESPACE:-jumun}" --create-namespace --wait $(HELM_FLAGS)

.PHONY: canary
canary: ## Deploy TAG as a canary with WEIGHT percent of the calls
	@scripts/release.sh canary "$(WEIGHT)" $(TAG)

.PHONY: check-canary
check-canary: ## Watch the canary and run `helm test`
	@scripts/release.sh check

.PHONY: promote
promote: ## Deploy the version of the canary everywhere and remove the canary
	@scripts/release.sh promote

.PHONY: rollback
rollback: ## Remove the canary or, without one, roll back to the previous revision
	@scripts/release.sh rollback

.PHONY: bench
bench: ## Measure CreateOrder beside an empty method, on SQLite and PostgreSQL, and the whole life of an order (6 min)
	cargo build --profile dist --locked -p jumun
	@scripts/tools.sh postgres
	@scripts/servers.sh --only postgres scripts/bench.sh

.PHONY: bench-split
bench-split: ## The same for the whole life of an order in six processes, on PostgreSQL and JetStream
	cargo build --profile dist --locked -p jumun
	@scripts/tools.sh postgres nats-server
	@scripts/servers.sh --only postgres,nats scripts/bench.sh split

.PHONY: drill-overload
drill-overload: ## Overload payment fivefold, with and without overload protection
	$(DRILL)drills::overload::full

.PHONY: drill-retry-storm
drill-retry-storm: ## Overload payment with callers that ignore retry delays
	$(DRILL)drills::retry_storm::full

.PHONY: drill-breaker
drill-breaker: ## Overload a slow payment behind a mesh, with the breaker of the mesh, of the application, both, or none
	@scripts/tools.sh postgres nats-server helm envoy mesh
	scripts/servers.sh --only postgres,nats $(DRILL)drills::breaker::full

.PHONY: drill-hygiene
drill-hygiene: ## Attack the listener: resets, large bodies, gzip bombs, idle connections
	$(DRILL)drills::hygiene::full

.PHONY: clean
clean: ## Remove build outputs (not ./data)
	cargo clean
