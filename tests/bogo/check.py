# SPDX-License-Identifier: Apache-2.0
"""Computes the rate from the runner's JSON: passed / (all DTLS tests that scope.json leaves in)."""

import argparse
import collections
import json
import sys

import scope


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="what the runner wrote with -json-output")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="PERCENT")
    args = parser.parse_args()

    with open(args.results, encoding="utf-8") as file:
        results = json.load(file)["tests"]
    features = scope.load_features()
    wanted = [n for n, t in scope.load_tests().items() if scope.excluded_by(features, n, t) is None]

    # SKIP is exit status 89, a test that did not run is missing: both count as failed.
    outcome = {name: results.get(name, {"actual": "MISSING"})["actual"] for name in wanted}
    counts = collections.Counter(outcome.values())
    for name in wanted:
        if outcome[name] != "PASS":
            print(f"{outcome[name]:8}{name}")
    rate = 100.0 * counts["PASS"] / len(wanted)
    print(f"{counts['PASS']} of {len(wanted)} DTLS tests in scope pass: {rate:.2f} %")
    return 0 if rate >= args.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
