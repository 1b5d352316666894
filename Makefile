# make run    open the app              make test   run every test
# make lint   style, types              make bench  print the benchmark tables
# The first Python on this machine that runs and fits; being on the path is not enough.
FITS   := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10 python3.13; do \
            $$p -c '$(FITS)' 2>/dev/null && command -v $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 7860

.PHONY: run test lint bench chromium clean
.DELETE_ON_ERROR:

run: $(VENV)/.run-ready
	$(BIN)/python app.py --port $(PORT) --open

test: $(VENV)/.test-ready chromium
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test-ready
	$(BIN)/python -m benchmarks

$(BIN)/python:
	@[ -n "$(PYTHON)" ] && "$(PYTHON)" -c '$(FITS)' || \
	  { echo "Python 3.10 to 3.13 is needed and not found; name one with make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp a list: nothing is installed twice, and a changed list installs what is new.
$(VENV)/.run-ready: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test-ready: requirements-dev.txt pyproject.toml $(VENV)/.run-ready | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# The browser tests drive the Chromium (or Chrome) of the machine; as root on Debian it is installed.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	 [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] || \
	 [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ] || \
	 { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	 { echo "No Chromium or Chrome here: install one, the browser tests need it." >&2; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
