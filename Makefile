# zmlx - 'make help' lists the targets.  Every src/*/*.c and src/*/*/*.c is built; adding a file
# needs no edit here.  The checks stand in mk/checks.mk, installing in mk/install.mk.
VERSION  := 0.1.0
CC       ?= cc
CXX      ?= c++
AR       ?= ar
CFLAGS   ?= -O2 -g
FAST     ?= -O3
BUILD    ?= build
JOBS     ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
SYSTEM   := $(shell uname -s)
MACHINE  := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

# All warnings are errors; 'make WARNINGS=' is for packagers with other compilers.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wundef -Wvla \
            -Wstrict-prototypes -Wmissing-prototypes -Wmissing-variable-declarations -Wcast-qual \
            -Wwrite-strings -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Werror
ifeq ($(shell $(CC) --version | grep -c clang),0)
WARNINGS := $(filter-out -Wmissing-variable-declarations,$(WARNINGS)) -Wlogical-op -Wduplicated-cond
endif

# The suffix of a file's name chooses the instruction sets it may use: matmul_avx2.c gets ISA_avx2.
# A file for another processor is left out.
ifeq ($(MACHINE),x86_64)
ISA_avx2       := -mavx2 -mfma -mf16c
ISA_avx512     := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd
ISA_avx512vnni := $(ISA_avx512) -mavx512vnni -mavx512vbmi
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
else
FOREIGN        := %_avx2.c %_avx512.c %_avx512vnni.c %_avx512bf16.c
endif
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))

# STATIC=1 takes the libraries from archives, libc stays dynamic.  libedit (its pkg-config file
# forgets what libbsd needs) and libcurl are optional; STATIC=1 goes without libcurl.
PACKAGES := jansson libpcre2-8 libutf8proc sqlite3
EDIT     := $(shell pkg-config --exists libedit 2>/dev/null && echo libedit)
CURL     := $(shell pkg-config --atleast-version=7.66 libcurl 2>/dev/null && echo libcurl)
packages  = $(shell pkg-config $(1) $(2))
ifdef STATIC
archives  = -Wl,-Bstatic $(filter-out -lpthread -ldl -lm -lc,$(call packages,--static --libs,$(1))) $(2) -Wl,-Bdynamic
LIBS     := $(call archives,$(PACKAGES)) -static-libgcc -lpthread -ldl -lm
CLI_LIBS := $(if $(EDIT),$(call archives,$(EDIT),$(if $(wildcard /usr/lib/*/libmd.a),-lmd)))
PROGRAM  := $(BUILD)/static/zmlx
else
LIBS     := $(call packages,--libs,$(PACKAGES) $(CURL)) -lpthread -ldl -lm
CLI_LIBS := $(if $(EDIT),$(call packages,--libs,$(EDIT)))
PROGRAM  := $(BUILD)/zmlx
endif

DEFINES  := -std=c17 -D_GNU_SOURCE -Iinclude -Isrc $(call packages,--cflags,$(PACKAGES) $(EDIT)) \
            $(if $(EDIT),-DZX_HAVE_LIBEDIT)
BARE     := $(DEFINES) $(WARNINGS) $(CFLAGS) -ffp-contract=off -fvisibility=hidden
FLAGS    := $(BARE) $(SANITIZE)

# One of the two files that ask a network or say that they cannot.
ISA_curl := $(if $(CURL),$(call packages,--cflags,$(CURL)))
FOREIGN  += $(if $(CURL),%/http_none.c,%/http_curl.c)

SOURCES  := $(filter-out $(FOREIGN),$(sort $(wildcard src/*/*.c src/*/*/*.c tests/*_test.c tests/*/*_test.c)))
TESTS    := $(filter %_test.c src/base/test_main.c,$(SOURCES))
CLI      := $(filter src/cli/%,$(filter-out $(TESTS),$(SOURCES)))
LIBRARY  := $(filter-out $(TESTS) $(CLI),$(SOURCES))
EXAMPLES := $(wildcard examples/*.c)
objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
shared    = $(patsubst %.c,$(BUILD)/pic/%.o,$(1))

MAJOR    := $(firstword $(subst ., ,$(VERSION)))
ifeq ($(SYSTEM),Darwin)
SHARED   := libzmlx.$(MAJOR).dylib
LINK     := libzmlx.dylib
SONAME   := -dynamiclib -install_name @rpath/$(SHARED)
else
SHARED   := libzmlx.so.$(MAJOR)
LINK     := libzmlx.so
SONAME   := -shared -Wl,-soname,$(SHARED) -Wl,-z,defs
endif

all: $(BUILD)/libzmlx.a $(PROGRAM)  ## build library and program (STATIC=1: BUILD/static/zmlx, to carry away)

# Other flags than last time: everything is built again.
STAMP    := $(BUILD)/flags
$(shell mkdir -p $(BUILD); echo '$(CC) $(FLAGS) $(FAST)' | cmp -s - $(STAMP) || \
        echo '$(CC) $(FLAGS) $(FAST)' > $(STAMP))

# UNWATCHED sources are left out of the sanitizers: clang takes a quarter of an hour for unrolled kernels.
compile   = @mkdir -p $(@D)$(newline)$(CC) $(if $(filter $(UNWATCHED),$<),$(BARE),$(FLAGS)) \
            $(if $(filter src/kernels/%,$(filter-out %_test.c,$<)),$(FAST)) \
            $(call isa,$<) $(1) -MMD -MP -c $< -o $@
define newline


endef
$(BUILD)/obj/%.o: %.c $(STAMP)
	$(call compile)
$(BUILD)/pic/%.o: %.c $(STAMP)
	$(call compile,-fPIC)

$(BUILD)/libzmlx.a: $(call objects,$(LIBRARY))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/$(LINK): $(call shared,$(if $(STATIC),$(LIBRARY:%/http_curl.c=%/http_none.c),$(LIBRARY)))
	$(CC) $(FLAGS) $(SONAME) $^ -o $(BUILD)/$(SHARED) $(LIBS)
	ln -sf $(SHARED) $@
# What stands before the archive is not taken from it.
$(PROGRAM): $(call objects,$(CLI) $(if $(STATIC),src/hub/http_none.c)) $(BUILD)/libzmlx.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $^ -o $@ $(CLI_LIBS) $(LIBS)
$(BUILD)/zmlx_test: $(call objects,$(TESTS) $(filter-out src/cli/main.c,$(CLI))) $(BUILD)/libzmlx.a
	$(CC) $(FLAGS) $^ -o $@ $(CLI_LIBS) $(LIBS)
$(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(BUILD)/libzmlx.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

shared: $(BUILD)/$(LINK)  ## build the shared library

examples: $(EXAMPLES:%.c=$(BUILD)/%)  ## build the examples

test: $(BUILD)/zmlx_test  ## run the unit tests (T=word runs those whose name holds it)
	$(BUILD)/zmlx_test $(T)

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

clean:  ## remove what was built
	rm -rf $(BUILD)

include mk/checks.mk mk/install.mk
.PHONY: all shared examples test help clean
.SECONDARY:
-include $(wildcard $(patsubst %.o,%.d,$(call objects,$(SOURCES) $(EXAMPLES)) $(call shared,$(LIBRARY))))
