# The two commands that matter are `make book` and `make test`; `make help` lists the rest.
# Override with e.g. `make book PYTHON3=python3.12 VENV=/tmp/venv`.
PYTHON3 ?= python3
VENV ?= .venv
PORT ?= 8000
SEEDS ?= 31 32 33
# Where `make notebook` opens Jupyter Lab, and what it is told besides, e.g. LAB_ARGS="--no-browser --port=9999".
FOLDER ?= mine
LAB_ARGS ?=

PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
# A free worker takes over what is left of another's share, in order: pages and fixtures are seldom made twice.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help book test test-weekly lint clean serve notebook sync chapter claims again bench picture pdf launch links forget setup execute pages chromium

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: execute  ## Run every chapter whose code changed and build _build/html/index.html; FRESH=1 runs all
	@$(MAKE) --no-print-directory pages

# Every stage runs, so that one report tells everything; any of them can close the gate.
test: setup chromium  ## Check the code, run the chapters, build the pages, test all of it
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory book || status=1; \
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(PARALLEL) --cov || status=1; \
	exit $$status

test-weekly: setup chromium  ## The tests of what others make: Jupyter Lab, Dask, the system, Colab and Binder; over an hour
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m "weekly or launch"

lint: setup  ## Check style, layout and types
	@status=0; \
	$(PYTHON) -m ruff check --quiet . || status=1; \
	$(PYTHON) -m ruff format --check --quiet . || status=1; \
	$(PYTHON) -m mypy --no-error-summary || status=1; \
	exit $$status

serve: book  ## Build, then show the book on http://localhost:8000
	@$(PYTHON) -m webbrowser http://localhost:$(PORT)/ >/dev/null 2>&1 </dev/null &
	@$(PYTHON) -m http.server --bind localhost --directory _build/html $(PORT)

notebook: setup  ## Open copies of the chapters in Jupyter Lab, kept in mine/; FOLDER=book opens the chapters themselves
	@test $(FOLDER) = book || $(PYTHON) book/_ext/own_copies.py $(FOLDER)
	@$(PYTHON) -m jupyter lab --LabApp.default_url=/lab/tree/$(FOLDER) $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

sync: setup  ## Bring each chapter's .md and .ipynb into line
	@$(PYTHON) -m jupytext --quiet --sync $$(grep -l kernelspec: book/*.md)

claims: setup  ## Check all claims with other seeds: SEEDS="31 32 33", CHAPTERS="index images"
	@$(PYTHON) book/_ext/rerun_claims.py --seeds $(SEEDS) --chapters $(CHAPTERS)

again: execute  ## Run chapters a second time and compare all outputs: CHAPTERS="index images"
	@$(PYTHON) book/_ext/run_again.py --chapters $(CHAPTERS)

chapter: setup  ## Start a chapter from the template: NAME=my_chapter
	@$(PYTHON) book/_ext/new_chapter.py "$(NAME)"

bench: setup  ## Measure the speed against other packages and the bare cost, and renew the page of it
	@$(PYTHON) -m benchmarks

picture: execute  ## Renew the README's picture from the landing page
	@$(PYTHON) book/_ext/picture.py

pdf: execute chromium  ## Print the whole book to _build/spectral-evolution.pdf
	@$(VENV)/bin/jupyter-book build . --builder singlehtml
	@$(PYTHON) book/_ext/pdf.py

launch: setup  ## Run every notebook as on Colab and Binder (installs fresh environments): TORCH=2.14.1
	@LAUNCH_TORCH=$(TORCH) $(PYTHON) -m pytest -m launch tests/test_launch.py

links: execute  ## Check every link to the outside (needs the internet)
	@$(VENV)/bin/jupyter-book build . --builder linkcheck

clean:  ## Remove what was built; the virtual environment and the kept outputs stay
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache

forget: setup  ## Empty the folder of kept outputs: the next `make book` runs every chapter
	@$(PYTHON) book/_ext/kept.py --forget
	rm -rf _build/.jupyter_cache

setup: $(READY)

# The newest pip is faster than the one that comes with Python, and all cores compile faster than pip on one.
# Templates among the packages do not compile; they need not.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make ... PYTHON3=/path/to/python3.11"; exit 1; }
	@test -x $(PYTHON) || $(PYTHON3) -m venv $(VENV) || \
		{ echo "No virtual environment could be made; on Debian and Ubuntu install python3-venv."; exit 1; }
	$(PYTHON) -m pip install --quiet --upgrade pip
	$(PYTHON) -m pip install --quiet --no-compile -r requirements.txt
	$(PYTHON) -m pip install --quiet --no-deps -e .
	@$(PYTHON) -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

execute: setup
	@$(PYTHON) book/_ext/execute.py $(if $(FRESH),--fresh)

# Sphinx warns about a page only when it reads it: after a failure it must read all of them again,
# or the next build would pass.
pages: setup
	@mkdir -p _build
	@$(VENV)/bin/jupyter-book build . -q -W -n --keep-going >_build/pages.log || { cat _build/pages.log; rm -rf _build/.doctrees; exit 1; }
	@echo "The book is in _build/html/index.html"

chromium:
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if command -v apt-get >/dev/null; then \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq chromium && exit 0; \
	fi; \
	echo "Chromium is missing and could not be installed: the page tests will fail without it."
