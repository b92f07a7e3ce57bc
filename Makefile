# passerelle: `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
# A dev environment holds all that the workbench needs, so it serves `make demo` too.
READY := $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.workbench)
# One process per core; more BLAS threads would only slow each other down.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

PASSERELLE := $(BIN)/passerelle
UV := $(BIN)/uv
ENVIRONMENT := $(READY)

.PHONY: help environment demo up stack airflow test fuzz mutants lint docs format bench images load overload kills gate-power lock licences release publish forge-release clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

environment: $(READY)  ## make .venv from the locked requirements, if it is not there or out of date

demo: $(READY)  ## train, compare, register, promote, import, build, serve and query, on the embedded platform
	@$(BIN)/passerelle demo --criteria training/data/criteria.yaml

up: $(READY)  ## run the embedded platform and serve the version in production, until Ctrl-C
	@$(BIN)/passerelle up

stack: $(READY)  ## start the stack with compose and deploy the demo's model; MODEL=no skips the model
	@$(BIN)/passerelle $(if $(filter no,$(MODEL)),up --target compose --no-model,demo --target compose --criteria training/data/criteria.yaml)

airflow: $(READY)  ## Airflow with the DAGs of deploy/airflow on loopback, on the embedded platform, until Ctrl-C; AIRFLOW_PORT=8080
	@$(BIN)/python deploy/airflow/run_airflow.py $(if $(AIRFLOW_PORT),--port $(AIRFLOW_PORT))

test: .venv/.dev  ## all tests; those that cannot run on this machine say what is missing
	@echo "tests: unit, integration and end to end, on all cores"
	@$(BIN)/python -m pytest -n auto --dist loadscope $(PYTEST_ARGS)

fuzz: .venv/.dev  ## the property-based unit tests, with 2,000 new examples each, then Atheris on bodies and heads, FUZZ_SECONDS=300 each
	@$(BIN)/python -m pytest -n auto --dist loadscope --hypothesis-profile=fuzz -m hypothesis tests/unit $(PYTEST_ARGS)
	@for target in body head; do $(BIN)/python -m tests.fuzz $$target -max_total_time=$(or $(FUZZ_SECONDS),300) || exit 1; done

mutants: .venv/.dev  ## mutate the most important modules, and count the mutations that no unit test notices; MUTANTS=all, MODULES="gate ledger"
	@$(BIN)/python -m tests.mutants $(if $(MUTANTS),--count $(MUTANTS)) $(MODULES)

lint: .venv/.dev  ## ruff, mypy strict, the licence of each file, and the files of CI
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/reuse lint --quiet
	$(BIN)/zizmor --offline --no-progress --quiet --persona=pedantic .github/workflows
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci .gitlab-ci.yml .gitlab/*.yml

docs: .venv/.dev  ## the documentation as a site in .cache/docs/site; a broken link or anchor fails it
	@$(BIN)/python docs/build_site.py

format: .venv/.dev  ## format the code with ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev  ## benchmark /classify against other servers; writes loadtests/results/
	@$(BIN)/python -m loadtests.bench

images: .venv/.dev  ## compare the image of the bento built last with BentoML's and MLflow's: sizes and times
	@$(BIN)/python -m loadtests.images

load: .venv/.dev  ## mix, spike and soak, 20 s each, on the bento built last or on HOST=…; fails if a threshold is missed
	@$(BIN)/python -m loadtests.locust $(LOADS) --seconds $(or $(LOAD_SECONDS),20) $(if $(HOST),--host $(HOST)) $(LOAD_ARGS)

kills: .venv/.dev  ## kill promote, rollback, register and import 50 times each, or TIMES, and race them; prints what was left
	@$(BIN)/python -m tests.kills $(or $(TIMES),50)

overload: .venv/.dev  ## four times the capacity of the service, for ten minutes or LOAD_SECONDS; fails over a limit
	@$(BIN)/python -m loadtests.overload --seconds $(or $(LOAD_SECONDS),600)

gate-power: .venv/.dev  ## simulate how often the gate passes a model, by how good it truly is, by rows and by looks: minutes
	@$(BIN)/python -m loadtests.gate_power $(if $(DRAWS),--draws $(DRAWS))

lock: $(READY)  ## lock the requirements from pyproject.toml
	@set -x; compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header"; \
	$$compile pyproject.toml --extra workbench --extra dev -o requirements/dev.txt; \
	$$compile pyproject.toml --extra workbench -c requirements/dev.txt -o requirements/workbench.txt; \
	$$compile pyproject.toml --extra pipeline -c requirements/dev.txt -o requirements/service.txt; \
	$$compile pyproject.toml -c requirements/dev.txt -o requirements/scorer.txt; \
	$$compile pyproject.toml --extra ray -c requirements/dev.txt -o requirements/ray.txt; \
	$$compile deploy/mlflow/requirements.in -c requirements/dev.txt -o deploy/mlflow/requirements.txt; \
	$$compile deploy/airflow/requirements.in -o deploy/airflow/requirements.txt; \
	grep -E '^uv==' requirements/dev.txt | tr -d '\\ ' | $$compile - -o requirements/uv.txt

licences: .venv/.dev  ## check the licence of each locked package against .ci/licences.toml
	@$(BIN)/python .ci/licences.py

release: .venv/.dev  ## write wheel, sdist, bill of materials, checksums and notes to release/; the same bytes for the same commit
	@$(BIN)/python .ci/release.py release

publish: .venv/.dev  ## upload release/packages to UV_PUBLISH_URL with UV_PUBLISH_TOKEN
	@$(UV) publish --trusted-publishing never release/packages/*

forge-release:  ## TAG=v1.2.3: create the release on GitHub from release/, with gh
	@test -n "$${TAG:-}" || { echo "TAG is not set" >&2; exit 2; }
	@gh release create "$$TAG" --verify-tag --title "$$TAG" --notes-file release/NOTES.md release/packages/* release/sbom.cdx.json release/SHA256SUMS

clean:  ## remove the environment and the demo's state
	rm -rf .venv .passerelle

include deploy/delivery.mk

.venv/.%: requirements/%.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("passerelle needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": make PYTHON=python3.x")'
	@echo "environment: $$(grep -c == $<) locked packages into .venv, each checked by its hash in $<"
	@test -x $(BIN)/python || { echo "  1/4 Python's virtual environment"; $(PYTHON) -m venv .venv; }
	@echo "  2/4 uv, which installs the packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@echo "  3/4 the packages: downloaded, unless a cache of this machine holds them, installed and compiled; minutes at the first time"
	@sync=($(BIN)/uv pip sync --compile-bytecode --python $(BIN)/python --require-hashes $<); \
	if [ -t 2 ]; then "$${sync[@]}"; else "$${sync[@]}" 2>&1 | sed -u -e '/^ [-+~] /d' -e 's/^/      /'; fi \
	|| { echo "where a proxy signs the index's certificate, as UnknownIssuer says: UV_SYSTEM_CERTS=1 make $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "  4/4 passerelle itself, from this folder"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
