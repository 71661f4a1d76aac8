# Each target runs one module, which can also be run by hand.
.DEFAULT_GOAL := help
.PHONY: help install run restart stop status config clean service service-remove package check-deployment audit localstack localstack-env localstack-stop logs dev migrate demo grant dlq backup restore check-files invoke events openapi test test-stack lint check bench soak schemathesis lock rules
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
STACK := $(PYTHON) -m infra.stack
PROFILE ?= run
# Runs a module with the settings of the running stack.
WITH_SETTINGS := $(PYTHON) -m infra.stack.with_settings --profile $(PROFILE)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## install what is missing: Python and Debian packages, MinIO, Cassandra
	@infra/stack/install.sh --profile $(PROFILE)

run: install ## start everything, create the demo accounts and posts, and print the address
	@$(STACK) up --profile run
	@$(WITH_SETTINGS) infra.demo

restart: ## let the running stack use the current code, without refusing a request
	@$(STACK) restart --profile $(PROFILE)

stop: ## stop everything; the data are kept
	@$(STACK) down --profile $(PROFILE)

status: ## print the state of each program, the log of each that failed, and what is deployed in LocalStack
	@$(STACK) status --profile $(PROFILE); status=$$?; \
		$(PYTHON) -m infra.localstack status --profile $(PROFILE) && exit $$status

config: ## print every setting, its value and where it comes from; they are described in .env.example
	@$(PYTHON) -m infra.stack.config

clean: ## delete all data, after confirmation; YES=yes does not ask
	@$(STACK) clean --profile $(PROFILE) $(if $(filter yes,$(YES)),--yes)

service: ## let systemd start and supervise the stack
	@$(PYTHON) -m infra.stack.service install

service-remove: ## undo `make service`; the data are kept
	@$(PYTHON) -m infra.stack.service remove

logs: ## follow the logs, of some programs with PART="rabbitmq triggers", of a function with FN=… [HOST=localstack]
ifdef FN
	@$(WITH_SETTINGS) infra.follow $(FN) --profile $(PROFILE) $(if $(HOST),--host $(HOST))
else
	@$(STACK) logs --profile $(PROFILE) $(PART)
endif

dev: ## like run, but code changes take effect at once; HOST=localstack for LocalStack
ifeq ($(HOST),localstack)
	@$(MAKE) localstack
	@$(PYTHON) -m infra.localstack.watch --profile $(PROFILE)
else
	@$(MAKE) install
	@$(STACK) up --profile run --reload
	@$(STACK) logs --profile run api reader writer heavy live triggers
endif

audit: ## look up known vulnerabilities of what `make package` has built
	@$(PYTHON) -m infra.sbom

package: ## build the zip files of functions and layers, and the template for sam deploy, in build/; for ARCH=arm64 too
	@infra/stack/install.sh --only-python
	@$(PYTHON) -m infra.package $(if $(ARCH),--architecture $(ARCH))

check-deployment: ## check the template with checkov, and that sam build gives what make package gives; for ARCH=arm64 too
	@infra/stack/install.sh --only-python
	@$(PYTHON) -m infra.deployment $(if $(ARCH),--architecture $(ARCH))

localstack: ## start LocalStack without Docker, deploy the functions to it, and print the API's address
	@infra/stack/install.sh --profile $(PROFILE) --localstack
	@$(PYTHON) -m infra.localstack up --profile $(PROFILE)

localstack-env: ## print the exports with which awslocal, the AWS CLI and boto3 reach LocalStack
	@$(PYTHON) -m infra.localstack env --profile $(PROFILE)

localstack-stop: ## stop LocalStack; the rest keeps running
	@$(PYTHON) -m infra.localstack down --profile $(PROFILE)

migrate: ## apply missing migrations (run does this too)
	@$(WITH_SETTINGS) --admin infra.migrate

demo: ## create the demo accounts and posts in the running stack
	@$(WITH_SETTINGS) infra.demo

grant: ## change an account's role: USER=… ROLE=user|verified|admin
	@$(WITH_SETTINGS) infra.grant --user $(USER) --role $(ROLE)

dlq: ## list the dead letters, or SHOW=id, REPLAY=id|all, DISCARD=id|all; of one queue with QUEUE=…
	@$(WITH_SETTINGS) infra.dead_letters $(or $(strip $(if $(SHOW),show '$(SHOW)') \
		$(if $(REPLAY),replay '$(REPLAY)') $(if $(DISCARD),discard '$(DISCARD)')),list) $(if $(QUEUE),--queue '$(QUEUE)')

invoke: ## run one function: FN=posts/like_post [EVENT=file|last] [WHO=grace|anonymous] [PATH_post_id=…] [HOST=localstack] [LIVE=yes]
	@$(WITH_SETTINGS) infra.invoke --profile $(PROFILE) '$(FN)' $(if $(EVENT),'$(EVENT)') $(if $(WHO),--as '$(WHO)') \
		$(if $(HOST),--host '$(HOST)') $(if $(filter yes,$(LIVE)),--live)

events: ## list the recorded events of one function: FN=posts/like_post, or show one: SHOW=id|last|sample
	@$(WITH_SETTINGS) infra.invoke.recordings --profile $(PROFILE) '$(FN)' $(if $(SHOW),--show '$(SHOW)') $(if $(WHO),--as '$(WHO)')

backup: ## make a base backup of the running stack now; it needs PHOTOGRAM_BACKUP, see docs/operations.md
	@$(PYTHON) -m infra.backup base --profile $(PROFILE)

restore: ## restore the stopped stack to a moment: TO=2026-11-26T12:00:00Z, TO=latest
	@$(PYTHON) -m infra.backup restore --profile $(PROFILE) $(if $(TO),--to $(TO))

check-files: ## name the rows of the running stack whose files are missing, and wrong counters
	@$(PYTHON) -m infra.backup check --profile $(PROFILE)

openapi: ## generate functions/docs/openapi.json, the API's description, from the code
	@$(PYTHON) -m infra.openapi

test: ## install, start the test stack, run the checks and all test suites, stop the stack
	@infra/stack/install.sh --profile test
	@$(PYTHON) -m infra.stack.test

test-stack: ## start the test stack, to run single tests
	@infra/stack/install.sh --profile test
	@$(STACK) up --profile test

lint: ## run ruff, mypy, import-linter and cfn-lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@cd infra/localstack/process_executor && ../../../.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/cfn-lint template.yaml

check: lint ## lint, and run the architecture tests (including the SAM translator and the Compose schema)
	@$(PYTHON) -m pytest tests/architecture

bench: test-stack ## run every benchmark against its baseline on the test stack, and print the ratios
	@$(PYTHON) -m infra.stack.with_settings --profile test tests.bench

soak: test-stack ## run what takes longer than `make test`: the table of outages, property tests, 204 faults
	@PHOTOGRAM_EXAMPLES=600 $(PYTHON) -m pytest tests/integration/functions/feed/test_feed_machine.py \
		tests/integration/functions/messages/test_message_machine.py \
		$(addprefix tests/integration/exactness/test_,state_machine.py paging.py orphans.py)
	@$(PYTHON) -m pytest tests/outages
	@$(PYTHON) -m infra.stack.with_settings --profile test --admin tests.history --faults 204 --actions 10050 --accounts 40 \
		--report docs/history-report.md

schemathesis: test-stack ## send ten times as many requests generated from the API's description as `make test`
	@PHOTOGRAM_EXAMPLES=250 $(PYTHON) -m pytest tests/e2e/test_schemathesis.py --override-ini timeout=900

lock: ## resolve pyproject.toml into requirements.lock again, and infra/*/*.in into *.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate \
		--group local --group test pyproject.toml --output-file requirements.lock
	@for name in localstack/requirements localstack/runtime deployment/sam deployment/checkov; do \
		.venv/bin/uv pip compile --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate \
		infra/$$name.in --output-file infra/$$name.lock; done

rules: ## write docs/contract/coverage.md, the tests of each rule, from the last run of `make test`
	@$(PYTHON) -m tests.rules write
