# Thin: each target calls a module that can as well be called by hand.
.DEFAULT_GOAL := help
.PHONY: help install run stop status clean package localstack localstack-stop logs dev migrate demo grant invoke openapi test test-stack lint check bench soak schemathesis lock rules
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
STACK := $(PYTHON) -m infra.stack
PROFILE ?= run
# The settings of the running stack, for modules that work on it.
WITH_SETTINGS := $(PYTHON) -m infra.stack.with_settings --profile $(PROFILE)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## install what is missing: Python and Debian packages, MinIO, Cassandra
	@infra/stack/install.sh --profile $(PROFILE)

run: install ## start everything, with demo accounts and photographs, and print the address
	@$(STACK) up --profile run
	@$(WITH_SETTINGS) infra.demo

stop: ## stop everything; the data stay
	@$(STACK) down --profile $(PROFILE)

status: ## each part, and the log of each dead one
	@$(STACK) status --profile $(PROFILE)

clean: ## delete all data (asks first)
	@$(STACK) clean --profile $(PROFILE)

logs: ## follow the logs; PART="rabbitmq consumer" for some; FN=posts/like_post [HOST=localstack] for a function's
ifdef FN
	@$(WITH_SETTINGS) infra.local.follow $(FN) --profile $(PROFILE) $(if $(HOST),--host $(HOST))
else
	@$(STACK) logs --profile $(PROFILE) $(PART)
endif

dev: ## like run, and what is edited is served at once; HOST=localstack: there
ifeq ($(HOST),localstack)
	@$(MAKE) localstack
	@$(WITH_SETTINGS) infra.localstack.watch
else
	@$(MAKE) install
	@$(STACK) up --profile run --reload
	@$(STACK) logs --profile run light heavy live consumer schedules
endif

package: ## build/: one zip file per function and layer, and the template for sam deploy
	@infra/stack/install.sh --only-python
	@$(PYTHON) -m infra.package

localstack: ## the same functions as Lambdas in LocalStack, without Docker; prints the API's address
	@infra/stack/install.sh --profile $(PROFILE) --localstack
	@$(PYTHON) -m infra.localstack up --profile $(PROFILE)

localstack-stop: ## end LocalStack; the stores go on
	@$(PYTHON) -m infra.localstack down --profile $(PROFILE)

migrate: ## bring the schemas up to date (run does it by itself)
	@$(WITH_SETTINGS) infra.migrate

demo: ## fill the running stack with the demo accounts
	@$(WITH_SETTINGS) infra.demo

grant: ## USER=… ROLE=user|verified|admin
	@$(WITH_SETTINGS) infra.grant --user $(USER) --role $(ROLE)

invoke: ## FN=posts/like_post [EVENT=file] [HOST=localstack]: run one function with its sample event
	@$(WITH_SETTINGS) infra.local.invoke $(FN) $(EVENT) $(if $(HOST),--host $(HOST))

openapi: ## write functions/docs/openapi.json, the API's description, from the code
	@$(PYTHON) -m infra.openapi

test: ## install, start a stack of its own, check, run every suite, stop
	@infra/stack/install.sh --profile test
	@$(PYTHON) -m infra.stack.test

test-stack: ## start the test stack by hand, to run single tests
	@infra/stack/install.sh --profile test
	@$(STACK) up --profile test

lint: ## ruff, mypy, import-linter, cfn-lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@cd infra/localstack/process_executor && ../../../.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/cfn-lint template.yaml

check: lint ## lint, and the architecture tests (SAM translator and Compose schema among them)
	@$(PYTHON) -m pytest tests/architecture

bench: test-stack ## every benchmark against its baseline, on the test stack; prints ratios
	@$(PYTHON) -m infra.stack.with_settings --profile test tests.bench

soak: test-stack ## the property tests, ten times as long as in `make test`
	@PHOTOGRAM_EXAMPLES=600 $(PYTHON) -m pytest tests/integration/functions/feed/test_feed_machine.py \
		tests/integration/functions/messages/test_message_machine.py \
		$(addprefix tests/integration/exactness/test_,state_machine.py paging.py orphans.py)

schemathesis: test-stack ## requests generated from the API's description, ten times as many as in `make test`
	@PHOTOGRAM_EXAMPLES=250 $(PYTHON) -m pytest tests/e2e/test_schemathesis.py --override-ini timeout=900

lock: ## resolve pyproject.toml anew into requirements.lock, and LocalStack's own environments
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate \
		--group local --group test pyproject.toml --output-file requirements.lock
	@for name in requirements runtime; do .venv/bin/uv pip compile --quiet --python-version 3.13 --generate-hashes \
		--no-header --no-annotate infra/localstack/$$name.in --output-file infra/localstack/$$name.lock; done

rules: ## write tests/RULES.md, which test covers which rule of the HTTP contract
	@$(PYTHON) -m tests.rules
