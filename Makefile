# Targets for development, CI and deployment. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The binary; scripts/test-cluster.sh accepts another one.
JUMUN ?= target/release/jumun
DRILL := cargo test --release --locked -p jumun --test platform -- --ignored --nocapture --exact platform::
TOOLS := $${JUMUN_TOOLS_DIR:-$${XDG_CACHE_HOME:-$$HOME/.cache}/jumun-tools}/bin

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start all contexts in one process (data in ./data)
	@$(JUMUN) up

.PHONY: build
build: ## Build the release binary
	@command -v cargo >/dev/null || { echo "make: Rust is missing: install it with rustup (https://rustup.rs)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: a C compiler is missing: apt-get install gcc" >&2; exit 1; }
	cargo build --release --locked -p jumun

.PHONY: demo
demo: ## Run all demos against the instance started by `make run`
	@$(JUMUN) demo all

.PHONY: tools
tools: ## Install the tools of the tests: PostgreSQL, NATS, Jaeger, grpcurl, buf, schemathesis
	@scripts/tools.sh

.PHONY: test
test: tools ## Run all tests: on SQLite and the embedded bus, on PostgreSQL and JetStream, and with real processes
	cargo test --locked --workspace --no-fail-fast
	JUMUN=target/debug/jumun scripts/fuzz-http.sh 10 fuzzing
	JUMUN_SERVERS_FSYNC=off scripts/servers.sh --only postgres,nats $(MAKE) --no-print-directory test-servers
	JUMUN_SERVERS_FSYNC=off scripts/servers.sh cargo test --locked -p jumun --test platform processes:: -- --ignored --test-threads 2

.PHONY: test-servers
test-servers:
	JUMUN_TEST_BACKEND=servers cargo test --locked -p admin --test mechanism
	JUMUN_TEST_BACKEND=servers cargo test --locked -p jumun --test platform journeys::

.PHONY: test-chart
test-chart: ## Check the chart against the protos and the context map, and with helm lint, kube-score and istioctl
	@scripts/tools.sh helm kube-score istioctl
	@scripts/chart.sh
	@scripts/istio.sh --check
	JUMUN_TEST_TOOLS="$(TOOLS)" cargo test --locked -p jumun --test platform chart:: -- --include-ignored

.PHONY: test-mesh
test-mesh: test-chart ## Test the mesh: real Envoys configured by istiod from the chart, with real processes behind them
	@scripts/tools.sh postgres nats-server envoy mesh
	scripts/servers.sh --only postgres,nats cargo test --locked -p jumun --test platform mesh:: -- --ignored --nocapture --test-threads 1

.PHONY: test-cluster
test-cluster: ## Test the chart with IMAGE on the cluster of KUBECONFIG, which needs Istio
	@IMAGE="$(IMAGE)" scripts/test-cluster.sh

.PHONY: fuzz
fuzz: ## Fuzz requests, page tokens and filters, for JUMUN_FUZZ_SECONDS (60) each
	JUMUN_FUZZ_SECONDS=$${JUMUN_FUZZ_SECONDS:-60} cargo test --locked -p jumun --test platform http::fuzz:: -- --nocapture --test-threads 1

.PHONY: fuzz-http
fuzz-http: build ## Test the HTTP API against /openapi.json with schemathesis: more than 2,000 cases
	@scripts/tools.sh schemathesis
	@JUMUN=$(JUMUN) scripts/fuzz-http.sh 100

.PHONY: lint
lint: ## Check formatting, lints and protos, and that the protos break no client
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/tools.sh buf
	@if [ -x "$(TOOLS)/buf" ]; then "$(TOOLS)/buf" lint && "$(TOOLS)/buf" breaking --against proto/baseline.binpb; else echo "make: buf is missing (it comes with npm): the protos were not checked" >&2; exit 1; fi

.PHONY: proto-baseline
proto-baseline: ## Make the current protos the baseline of `buf breaking`: at a release, or for an intended break
	@scripts/tools.sh buf
	"$(TOOLS)/buf" build --exclude-source-info -o proto/baseline.binpb

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: docs
docs: ## Write docs/reference/errors.md and helm/jumun/contexts.json, which the code and the protos say
	cargo run --quiet --locked -p jumun -- errors > docs/reference/errors.md.new
	@mv docs/reference/errors.md.new docs/reference/errors.md
	cargo run --quiet --locked -p jumun -- methods > contexts.json.new
	@mv contexts.json.new helm/jumun/contexts.json

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
bench: build ## Measure CreateOrder compared with an empty method, on SQLite and on PostgreSQL
	@scripts/tools.sh postgres
	@scripts/bench.sh sqlite
	@scripts/servers.sh --only postgres scripts/bench.sh postgres

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
