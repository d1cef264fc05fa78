# SPDX-License-Identifier: Apache-2.0
# make bogo RUNNER=/path/to/runner: BoringSSL's DTLS tests against our engine (docs/bogo.md).
BUILD ?= build
BOGO_LOG ?= $(BUILD)/bogo.log

.PHONY: bogo
bogo:
	@test -n "$(RUNNER)" || { echo "usage: make bogo RUNNER=/path/to/runner (see docs/bogo.md)"; exit 1; }
	ninja -C $(BUILD) tests/bogo/shim/bogo-shim
	python3 tests/bogo/run.py --runner "$(RUNNER)" --shim $(BUILD)/tests/bogo/shim/bogo-shim \
		--log $(BOGO_LOG) --at-least 98
