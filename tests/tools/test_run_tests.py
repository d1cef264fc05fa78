#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/run-tests counts: each way in which a program can fail must be seen. Speaks TAP."""

import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "run-tests")
loader = importlib.machinery.SourceFileLoader("run_tests", TOOL)
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
loader.exec_module(tool)

# title, KW_REQUIRE, Meson's record, (passed, failed, skipped)
ROWS = [
    ("each subtest counts", "", {"stdout": "1..2\nok 1 - a\nok 2 - b\n", "result": "OK"}, (2, 0, 0)),
    ("a failed subtest", "", {"stdout": "1..2\nok 1 - a\nnot ok 2 - b\n", "result": "FAIL"}, (1, 1, 0)),
    ("a crash after good subtests", "", {"stdout": "1..2\nok 1 - a\n", "result": "ERROR", "returncode": -11}, (1, 1, 0)),
    ("a sanitizer's exit code after a whole plan", "", {"stdout": "1..1\nok 1 - a\n", "result": "ERROR"}, (1, 1, 0)),
    ("a timeout", "", {"stdout": "1..3\nok 1 - a\n", "result": "TIMEOUT"}, (1, 1, 0)),
    ("a skipped subtest", "", {"stdout": "1..1\nok 1 - a # SKIP needs pion: no go\n", "result": "OK"}, (0, 0, 1)),
    ("a skip that is forbidden", "pion", {"stdout": "1..1\nok 1 - a # SKIP needs pion: no go\n", "result": "OK"}, (0, 1, 0)),
    ("a skip that is not the forbidden one", "pion", {"stdout": "1..1\nok 1 - a # SKIP needs firefox: x\n", "result": "OK"}, (0, 0, 1)),
    ("a skipped program", "", {"stdout": "1..0 # SKIP needs pion: no go\n", "result": "SKIP"}, (0, 0, 1)),
    ("a skipped program that is required", "chromium,pion", {"stdout": "1..0 # SKIP needs pion: no go\n", "result": "SKIP"}, (0, 1, 0)),
    ("a program without TAP", "", {"stdout": "fine\n", "result": "OK"}, (1, 0, 0)),
    ("a program without TAP that fails", "", {"stdout": "", "result": "FAIL", "returncode": 1}, (0, 1, 0)),
    ("a program without TAP that skips", "", {"stdout": "", "result": "SKIP"}, (0, 0, 1)),
]


def main():
    failed = 0
    print(f"1..{len(ROWS)}")
    for number, (title, require, record, wanted) in enumerate(ROWS, 1):
        os.environ["KW_REQUIRE"] = require
        with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
            log.write(json.dumps({"name": "program", **record}) + "\n")
            log.flush()
            tally = tool.read_log(log.name)
        got = len(tally.passed), len(tally.failed), len(tally.skipped)
        failed += got != wanted
        print(f"{'ok' if got == wanted else 'not ok'} {number} - {title}")
        if got != wanted:
            print(f"# wanted {wanted}, got {got}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
