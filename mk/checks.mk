# checks.mk - what guards the source: style, headers, tidy, sanitizers, fuzzers, size.
# Each is one target that ends with a clear failure; tools/test_all.sh runs them all.
HEADERS  := $(wildcard include/*/*.h)
# A *_body.h is the text of a kernel that each instruction set includes for itself: no header.
INTERNAL := $(filter-out %_body.h,$(wildcard src/*/*.h src/*/*/*.h))
BODIES   := $(wildcard src/*/*/*_body.h)
FUZZERS  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TESTING  := $(wildcard tests/oracle/*.c)
SECONDS  ?= 60
# Sub-makes share the jobs of a parent 'make -jN', else take all cores.
PARALLEL  = --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
AGAIN     = $(PARALLEL) WARNINGS=

style: $(BUILD)/libzmlx.a $(BUILD)/$(LINK)  ## check format, sizes, layers, symbol names, heap use, rows and limits
	sh tools/format.sh $(SOURCES) $(HEADERS) $(INTERNAL) $(BODIES) $(EXAMPLES) $(FUZZERS) $(TESTING)
	python3 tools/cstyle.py --exclude 'build*/*' --gate file=600,nest=4,cycles=0,macros=60 \
	    --layers tools/layers.txt .
	python3 tools/cstyle.py --no-heading --gate func=120 src
	python3 tools/cstyle.py --no-heading --gate func=80 --exclude 'kernels/*/*' src
	sh tools/symbols.sh $(BUILD)/libzmlx.a $(BUILD)/$(LINK)
	sh tools/heap.sh
	sh tools/rows.sh
	sh tools/limits.sh

format:  ## format every source file in place
	sh tools/format.sh -i $(SOURCES) $(HEADERS) $(INTERNAL) $(BODIES) $(EXAMPLES) $(FUZZERS) $(TESTING)

# Each header twice, so that a missing guard shows too.
headers:  ## check that every header compiles alone, and the public ones as C++ too
	@$(MAKE) $(PARALLEL) -k $(addprefix alone-c/,$(HEADERS) $(INTERNAL)) $(addprefix alone-c++/,$(HEADERS))
	@echo "$(words $(HEADERS) $(INTERNAL)) headers compile alone"
$(addprefix alone-c/,$(HEADERS) $(INTERNAL)): alone-c/%:
	@printf '#include "$*"\n#include "$*"\nextern int none;\n' | \
	    $(CC) $(FLAGS) $(call isa,$*) -I. -fsyntax-only -x c -
$(addprefix alone-c++/,$(HEADERS)): alone-c++/%:
	@printf '#include "$*"\n#include "$*"\n' | \
	    $(CXX) -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -I. -fsyntax-only -x c++ -

# A file is looked at again only when it, a header it reads or .clang-tidy changed.
TIDY     := $(patsubst %.c,$(BUILD)/tidy/%.ok,$(LIBRARY) $(CLI) $(EXAMPLES))
tidy:  ## run clang-tidy over the sources that changed since its last run
	@$(MAKE) $(PARALLEL) -k $(TIDY)
$(BUILD)/tidy/%.ok: %.c $(BUILD)/obj/%.o $(wildcard .clang-tidy src/*/.clang-tidy)
	@mkdir -p $(@D)
	clang-tidy --quiet $< -- $(DEFINES) $(call isa,$<) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# The unrolled integer matmuls take gcc a quarter of an hour to instrument; their test guards memory itself.
SANITIZED = UNWATCHED="src/kernels/matmul/%_avx512vnni.c src/kernels/matmul/%_avx2.c" BUILD=$(BUILD)/sanitize CFLAGS="-O1 -g -fno-omit-frame-pointer" FAST=-O2 \
            SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
# Tests marked slow would take a sanitizer too long; SKIP_MARKS= runs them too.
SKIP_MARKS ?= slow
sanitize:  ## run the unit tests under the address and undefined-behaviour sanitizers
	ZX_SKIP_MARKS=$(SKIP_MARKS) $(MAKE) $(AGAIN) $(SANITIZED) test

# A check that fails leaves its test at once, so leaks say nothing here.
faults:  ## run the unit tests again and again under the sanitizers, failing each allocation in turn
	$(MAKE) $(AGAIN) $(SANITIZED) faults-run
faults-run: $(BUILD)/zmlx_test
	ASAN_OPTIONS=detect_leaks=0 ZX_SKIP_MARKS=$(SKIP_MARKS) $(BUILD)/zmlx_test --faults $(T)

# The tests with threads in them, by file or name.  The sanitizer dislikes some address layouts: setarch.
THREADED := pool engine session
tsan:  ## run the tests of pool, engine and session under the thread sanitizer
	$(MAKE) $(AGAIN) UNWATCHED="src/kernels/matmul/%_avx512vnni.c src/kernels/matmul/%_avx2.c" BUILD=$(BUILD)/tsan CFLAGS="-O1 -g" FAST=-O2 SANITIZE=-fsanitize=thread tsan-run
tsan-run: $(BUILD)/zmlx_test
	@fixed=$$(setarch -R true 2>/dev/null && echo setarch -R); \
	for word in $(THREADED); do \
	    [ -n "$$($(BUILD)/zmlx_test --list $$word)" ] || { echo "no test of $$word"; continue; }; \
	    $$fixed $(BUILD)/zmlx_test $$word || exit 1; \
	done

# Folder by folder, without the tests that run every model in every way for its numbers alone, and those
# that valgrind's own memory upsets.  It takes what PCRE2's compiled code (src/text) reads ahead for unset.
MEMCHECKED := base graph quant kv text jinja engine fuse backend model serve bench hub cli
MEMCHECK   := valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect \
              --errors-for-leak-kinds=definite,indirect
nightly: $(BUILD)/zmlx_test  ## run the unit tests, but for the kernels', under valgrind
	@status=0; for folder in $(MEMCHECKED); do \
	    echo "src/$$folder"; \
	    ZX_SKIP_MARKS=no-valgrind,numbers,$(SKIP_MARKS) $(MEMCHECK) \
	        $$([ $$folder != text ] || echo --undef-value-errors=no) $(BUILD)/zmlx_test src/$$folder/ || status=1; \
	done; exit $$status

fuzz:  ## run every fuzzer for SECONDS (60) over its corpus
	$(MAKE) $(AGAIN) CC=clang BUILD=$(BUILD)/fuzz CFLAGS="-O1 -g -fno-omit-frame-pointer" FAST=-O1 \
	    UNWATCHED=src/kernels/% \
	    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" \
	    SECONDS=$(SECONDS) -k $(patsubst tests/fuzz/%.c,run-%,$(FUZZERS))
$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/libzmlx.a
	$(CC) $(FLAGS) -fsanitize=fuzzer $^ -o $@ $(LIBS)
# What a run finds stays in the build folder; tests/fuzz/corpus is only read.
$(patsubst tests/fuzz/%.c,run-%,$(FUZZERS)): run-fuzz_%: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$* $(BUILD)/crashes
	@echo "fuzz_$*: $(SECONDS) s"
	@$< -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/crashes/$*- $(addprefix -dict=,$(wildcard tests/fuzz/$*.dict)) \
	    $(BUILD)/corpus/$* $(wildcard tests/fuzz/corpus/$*) >$(BUILD)/$*.log 2>&1 && \
	    echo "fuzz_$*: ok, $$(awk '/number_of_executed_units/ {print $$2}' $(BUILD)/$*.log) runs" || \
	    { tail -n 30 $(BUILD)/$*.log; echo "fuzz_$*: failed"; exit 1; }

# Ops, formats and whole models against MLX itself, through python/zmlx and a library for tests alone.
ORACLE   := $(BUILD)/liboracle.so
VENV     ?= $(if $(ZX_CACHE),$(ZX_CACHE),$(BUILD))/venv-oracle
oracle: $(BUILD)/$(LINK) $(ORACLE)  ## compare with MLX on the CPU (T=word runs those whose name holds it)
	ZMLX_LIBRARY=$(BUILD)/$(LINK) ZX_ORACLE=$(ORACLE) CC="$(CC)" \
	    sh tests/oracle/oracle.sh $(VENV) $(if $(T),-k "$(T)")
$(ORACLE): $(BUILD)/pic/tests/oracle/oracle_api.o $(call shared,$(LIBRARY))
	$(CC) $(FLAGS) $(if $(filter Darwin,$(SYSTEM)),-dynamiclib,-shared -Wl,-z,defs) $^ -o $@ $(LIBS)
-include $(BUILD)/pic/tests/oracle/oracle_api.d

size: $(PROGRAM)  ## check that the stripped program stays within 8 MiB
	@strip -o $(BUILD)/zmlx.stripped $(PROGRAM) && bytes=$$(wc -c < $(BUILD)/zmlx.stripped) && \
	    echo "stripped program: $$bytes bytes (limit 8388608)" && [ $$bytes -le 8388608 ]

.PHONY: style format headers tidy sanitize faults faults-run tsan tsan-run nightly fuzz oracle size
