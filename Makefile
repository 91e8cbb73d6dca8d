# `make demo` and `make test` do all the set-up on a machine that has Python and make.

# The first interpreter that is new enough, not too new for TensorFlow, and can make environments.
FITS = import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(firstword $(foreach p,python3.12 python3.13 python3.11 python3 python,\
	$(shell $(p) -c '$(FITS)' >/dev/null 2>&1 && echo $(p))))
VENV ?= .venv
RUN = $(VENV)/bin/python
# Python keeps what it compiles at its first use, unless told not to: compiling all of TensorFlow now would take
# as long as installing it.
PIP = $(RUN) -m pip install --quiet $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)

.PHONY: install demo test lint format docs results result clean

install: $(VENV)/installed  ## Make the environment and install the command: .venv/bin/fewshot

demo: $(VENV)/installed  ## Fetch CIFAR-10 and run the main job: does mirroring the images help?
	$(RUN) -m experiments.augment --method flip --seeds 10

test: lint  ## Lint, formatting, import contracts, types and all tests that need no network
	$(RUN) -m pytest -q -n 2 --dist loadfile $(if $(MARKS),-m '$(MARKS)')

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/mypy

docs: $(VENV)/docs  ## Build the site into build/site; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --site-dir build/site

results: $(VENV)/ready  ## Draw the documentation's tables and pictures from docs/results/*.json
	$(RUN) docs/kept.py

result: $(VENV)/ready  ## Keep a study's numbers and draw: make result FROM=results NAME=augment [STUDY=cnn NOTE="…"]
	$(RUN) -m experiments.report '$(FROM)' --keep 'docs/results/$(NAME).json' \
		$(if $(STUDY),--study '$(STUDY)') $(if $(NOTE),--note '$(NOTE)')
	$(RUN) docs/kept.py '$(NAME)'

format: $(VENV)/ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv found: install one, or 'make PYTHON=/path/to/python'" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable .
	@touch $@

$(VENV)/ready: $(VENV)/installed
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/docs: $(VENV)/ready
	$(PIP) --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
