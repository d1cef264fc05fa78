# SPDX-License-Identifier: Apache-2.0
# A short door in front of Meson. Everything lands in build*/, nothing outside the tree but packages.

BUILD ?= build
PREFIX ?= /usr/local
T ?= 60

.PHONY: all run test test-full check bench fuzz install clean

all:
	@tools/install-deps run
	@tools/build $(BUILD)

run: all
	@exec $(BUILD)/src/daemon/keywheeld $(ARGS)

test:
	@tools/install-deps test
	@tools/build $(BUILD)
	@tools/run-tests --build $(BUILD)

test-full:
	@tools/install-deps test
	@tools/build $(BUILD)
	@tools/run-tests --build $(BUILD) --full

check:
	@tools/install-deps test check
	@tools/check

bench:
	@tools/install-deps test bench 1>&2
	@tools/build build-release --buildtype=release 1>&2
	@tools/run-bench build-release $(BENCH)

fuzz:
	@tools/install-deps test check
	@CC=clang tools/build build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	@tools/run-fuzz build-fuzz $(T)

-include tests/bogo/bogo.mk

install:
	@tools/install-deps run
	@tools/build build-install --buildtype=release --prefix=$(PREFIX) -Dtests=false
	@DESTDIR=$(DESTDIR) meson install -C build-install --no-rebuild

clean:
	rm -rf build build-*
