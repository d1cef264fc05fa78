# SPDX-License-Identifier: Apache-2.0
"""Runs the DTLS tests in scope under BoringSSL's runner and prints the rate."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import scope

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", required=True, help="the built runner of ssl/test/runner")
    parser.add_argument("--shim", required=True)
    parser.add_argument("--workers", default="2")
    parser.add_argument("--test", default="", help="shell patterns, separated by ';', instead of the scope")
    parser.add_argument("--at-least", default="0", metavar="PERCENT")
    parser.add_argument("--patient", action="store_true", help="without fail_fast, as the product runs")
    parser.add_argument("--log", default="", help="where the runner's own output goes")
    args = parser.parse_args()

    features = scope.load_features()
    names = [n for n, t in scope.load_tests().items() if scope.excluded_by(features, n, t) is None]
    with tempfile.TemporaryDirectory() as work:
        results = pathlib.Path(work) / "results.json"
        log = pathlib.Path(args.log) if args.log else pathlib.Path(work) / "log"
        with open(log, "w", encoding="utf-8") as out:
            # The runner's exit status says only that something failed; check.py says what.
            patient = ["-shim-extra-flags", "-patient", "-idle-timeout", "2s"]
            subprocess.run(
                [
                    args.runner,
                    *(patient if args.patient else []),
                    "-pipe",
                    "-shim-path", str(pathlib.Path(args.shim).resolve()),
                    "-shim-config", str(HERE / "errors.json"),
                    "-num-workers", args.workers,
                    "-json-output", str(results),
                    "-test", args.test or ";".join(names),
                ],
                stdout=out, stderr=subprocess.STDOUT, check=False,
            )
        if not results.exists():
            print(log.read_text(encoding="utf-8")[-2000:])
            return 1
        if args.test:
            for name, result in sorted(json.loads(results.read_text())["tests"].items()):
                print(f"{result['actual']:8}{name}")
            return 0
        return subprocess.run(
            [sys.executable, str(HERE / "check.py"), "--at-least", args.at_least, str(results)],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
