# Everything a newcomer needs is one of these; each sets up what it needs first.
#   make demo     the product at work, within a minute     (ARGS="--seconds 75 --json")
#   make test     all tests, on real servers where they are to be had
#   make soak     what takes hours
#   make spin     every state of the model of an alarm's life
#   make pages    the example pages and the reference of the rules
#   make month    the reference month, and what every rule makes of it
#   make explore  the properties, with new examples each time
#   make check    format, lint, types, layers
#   make bench    the benchmarks
#   make wheel    dist/megawatch-*.whl, with the dashboards in it

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: demo test soak spin pages month explore check format bench wheel lock servers clean

demo: $(READY)
	@$(RUN)/megawatch demo $(ARGS)

# Most of the time the tests on real servers wait: three at once keep two cores busy.
test: $(READY) servers
	@$(RUN)/python -m pytest -n 3 --dist loadgroup $(ARGS)

soak: $(READY) servers
	@$(RUN)/python -m pytest -m soak $(ARGS)

spin: $(READY) servers
	@$(RUN)/python -m pytest -m "soak or not soak" tests/integration/test_alarm_model.py $(ARGS)

pages: $(READY)
	@$(RUN)/python -m testing.scenarios.pages
	@$(RUN)/python -m megawatch.reference

month: $(READY)
	@$(RUN)/python -m testing.month
	@$(RUN)/python -m megawatch.reference

explore: $(READY)
	@$(RUN)/python -m pytest -n 3 --hypothesis-profile=explore tests/properties $(ARGS)

check: $(READY)
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports
	@$(RUN)/python -m grafana.build --check

format: $(READY)
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

bench: $(READY) servers
	@$(RUN)/python -m bench $(ARGS)

wheel: $(READY)
	@$(RUN)/python -m hatchling build --target wheel --directory dist

servers:
	@./.ci/servers

# The environment is made anew whenever what it is made of changes.
$(READY): requirements.lock pyproject.toml .ci/venv
	@PYTHON=$(PYTHON) ./.ci/venv $(VENV)
	@touch $@

lock: $(READY)
	@$(RUN)/python -m pip install --quiet uv
	@$(RUN)/uv pip compile pyproject.toml --group dev --extra nats --extra apprise --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-header --quiet --upgrade --output-file requirements.lock
	@$(RUN)/uv pip compile pyproject.toml --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
		--no-header --quiet -c requirements.lock --output-file deploy/requirements.lock

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
