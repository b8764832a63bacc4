# zmlx - 'make help' lists the targets.  Every src/*/*.c is built; adding a file needs no edit here.
CC       ?= cc
BUILD    ?= build
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wundef -Wvla \
            -Wstrict-prototypes -Wmissing-prototypes -Wmissing-variable-declarations \
            -Wcast-qual -Wwrite-strings -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Werror
ifeq ($(shell $(CC) --version | grep -c clang),0)
WARNINGS := $(filter-out -Wmissing-variable-declarations,$(WARNINGS)) -Wlogical-op -Wduplicated-cond
endif
CFLAGS   ?= -O2 -g
JOBS     ?= $(shell nproc)
CFLAGS   += -std=c17 -ffp-contract=off -D_GNU_SOURCE -fvisibility=hidden -Iinclude -Isrc $(WARNINGS) $(SANITIZE)
PACKAGES := jansson libpcre2-8 libutf8proc
CFLAGS   += $(shell pkg-config --cflags $(PACKAGES))
LDLIBS   := $(shell pkg-config --libs $(PACKAGES)) -lpthread -ldl -lm

SOURCES  := $(sort $(wildcard src/*/*.c src/*/*/*.c))
TESTS    := $(filter %_test.c src/base/test_main.c,$(SOURCES))
CLI      := $(filter src/cli/%,$(SOURCES))
LIBRARY  := $(filter-out $(TESTS) $(CLI),$(SOURCES))
objects   = $(patsubst src/%.c,$(BUILD)/%.o,$(1))

all: $(BUILD)/zmlx  ## build the library and the program

# gcc 12 vectorizes loops of any length from -O3 on
$(BUILD)/kernels/%.o: CFLAGS += -O3
$(BUILD)/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
$(BUILD)/%_avx512.o: CFLAGS += -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd
$(BUILD)/%_avx512vnni.o: CFLAGS += -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni -mavx512vbmi

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libzmlx.a: $(call objects,$(LIBRARY))
	$(AR) rcs $@ $^
$(BUILD)/libzmlx.so: CFLAGS += -fPIC
$(BUILD)/zmlx: $(call objects,$(CLI)) $(BUILD)/libzmlx.a
	$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)
$(BUILD)/zmlx_test: $(call objects,$(TESTS)) $(BUILD)/libzmlx.a
	$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

test: $(BUILD)/zmlx_test  ## run the tests (T=word runs those whose name holds it)
	$(BUILD)/zmlx_test $(T)

sanitize:  ## run the tests under the address and undefined-behaviour sanitizers
	$(MAKE) BUILD=$(BUILD)/sanitize SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" test

style: $(BUILD)/libzmlx.a  ## check format, sizes, layers and symbol names
	clang-format --dry-run -Werror $(SOURCES) $(wildcard include/*/*.h src/*/*.h)
	python3 tools/cstyle.py --gate file=600,func=80,nest=4,cycles=0,macros=60 --layers tools/layers.txt --exclude 'src/kernels/*/*' .
	python3 tools/cstyle.py --gate file=600,func=120,nest=4,cycles=0 src/kernels
	sh tools/symbols.sh $(BUILD)/libzmlx.a

headers:  ## check that every header compiles alone, and the public ones as C++ too
	printf '%s\n' $(wildcard include/*/*.h src/*/*.h) | \
	    xargs -P8 -I{} $(CC) $(CFLAGS) -fsyntax-only -x c {}
	printf '%s\n' $(wildcard include/*/*.h) | xargs -I{} $(CXX) -Wall -Werror -Iinclude -fsyntax-only -x c++ {}

tidy:  ## run clang-tidy
	printf '%s\n' $(LIBRARY) $(CLI) | xargs -P8 -I{} clang-tidy --quiet {} -- \
	    -std=c17 -D_GNU_SOURCE -Iinclude -Isrc -mavx2 -mfma

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

clean:  ## remove what was built
	rm -rf $(BUILD)

.PHONY: all test sanitize style headers tidy help clean
-include $(patsubst %.o,%.d,$(call objects,$(SOURCES)))
