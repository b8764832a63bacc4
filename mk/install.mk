# install.mk - into PREFIX below DESTDIR: headers, both libraries, the program, files for
# pkg-config and CMake.  Nothing of src/ is installed.
PREFIX   ?= /usr/local
DESTDIR  ?=
ROOT      = $(DESTDIR)$(PREFIX)
FILL      = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' \
            -e 's|@PACKAGES@|$(PACKAGES)|g' -e 's|@LINK@|$(LINK)|g' \
            -e 's|@CURL@|$(if $(CURL), $(call packages,--libs,$(CURL)))|g'

install: all shared  ## install below PREFIX (/usr/local), DESTDIR goes in front
	install -d $(ROOT)/bin $(ROOT)/include/zmlx $(ROOT)/lib/pkgconfig $(ROOT)/lib/cmake/zmlx
	install -m 755 $(PROGRAM) $(ROOT)/bin
	install -m 644 $(wildcard include/zmlx/*.h) $(ROOT)/include/zmlx
	install -m 644 $(BUILD)/libzmlx.a $(ROOT)/lib
	install -m 755 $(BUILD)/$(SHARED) $(ROOT)/lib
	ln -sf $(SHARED) $(ROOT)/lib/$(LINK)
	$(FILL) packaging/zmlx.pc.in > $(ROOT)/lib/pkgconfig/zmlx.pc
	$(FILL) packaging/zmlx-config.cmake.in > $(ROOT)/lib/cmake/zmlx/zmlx-config.cmake
	$(FILL) packaging/zmlx-config-version.cmake.in > $(ROOT)/lib/cmake/zmlx/zmlx-config-version.cmake

install-test: all shared  ## build the examples against an installed tree (MODEL=file runs them)
	MAKE="$(MAKE)" CC="$(CC)" BUILD="$(BUILD)" VERSION="$(VERSION)" sh tools/install_test.sh $(MODEL)

bench-peers: all  ## measure against llama.cpp (installs llama-cpp-python in a venv; MODEL=file)
	@[ -x $(BUILD)/peers/bin/python ] || python3 -m venv $(BUILD)/peers
	$(BUILD)/peers/bin/python -m pip install --quiet 'llama-cpp-python==0.3.36'
	$(BUILD)/peers/bin/python tools/bench_peers.py --zmlx $(PROGRAM) $(MODEL)

.PHONY: install install-test bench-peers
