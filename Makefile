# Everything a newcomer needs: `make demo` and `make test` set up a virtual environment first, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := train,tag,serve,parquet,dev
STAMP := $(VENV)/.installed
BROWSER_STAMP := $(VENV)/.browser
PIP_FLAGS ?= --quiet --disable-pip-version-check

.PHONY: demo test test-browser lint bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade pip
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/earmark reproduce --output runs/report
	$(BIN)/python scripts/make_demo_sounds.py runs/sounds
	$(BIN)/earmark classify runs/sounds

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not browser"
	@echo "The page's tests were left out: they drive a real Chromium, and make test-browser runs them."

# axe comes inside a package that would pull in another browser's driver; only its script is wanted.
$(BROWSER_STAMP): $(STAMP)
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable '.[browser]'
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps 'axe-playwright-python==0.1.8'
	@touch $@

# Debian's Chromium is installed where there is none; that takes root.
test-browser: $(BROWSER_STAMP)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  { SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); $$SUDO apt-get update -q && \
	    DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -q --no-install-recommends chromium chromium-driver; }
	$(BIN)/python -m pytest tests/browser -m browser

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) runs build dist
