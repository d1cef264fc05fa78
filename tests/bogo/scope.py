# SPDX-License-Identifier: Apache-2.0
"""
Applies scope.json to the list of DTLS tests.

scope.py         how many tests each feature puts out of scope
scope.py names   the names of those in scope
scope.py check   fails when a rule matches nothing, so that a typing error cannot hide
"""

import collections
import fnmatch
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent


def load_tests():
    """Name -> (expects success, suites, flags) of every DTLS test of the suite."""
    tests = {}
    for line in (HERE / "dtls-tests.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, outcome, suites, flags = line.split("\t")
        tests[name] = (
            outcome == "ok",
            set() if suites == "-" else set(suites.split(",")),
            set() if flags == "-" else set(flags.split(" ")),
        )
    return tests


def load_features():
    return json.loads((HERE / "scope.json").read_text())["features"]


def matches(feature, name, test):
    succeeds, suites, flags = test
    if any(fnmatch.fnmatchcase(name, p) for p in feature.get("except", [])):
        return False
    if feature.get("must_succeed") and not succeeds:
        return False
    if any(fnmatch.fnmatchcase(name, p) for p in feature.get("names", [])):
        return True
    if flags & set(feature.get("flags", [])):
        return True
    return bool(suites) and suites <= set(feature.get("suites", []))


def excluded_by(features, name, test):
    """The id of the feature that puts this test out of scope, or None."""
    for feature in features:
        if matches(feature, name, test):
            return feature["id"]
    return None


def idle_rules(features, tests):
    """Rules of scope.json that no test answers to."""
    for feature in features:
        for key in ("names", "except"):
            for pattern in feature.get(key, []):
                if not fnmatch.filter(tests, pattern):
                    yield f"{feature['id']}: {key} {pattern}"
        for flag in feature.get("flags", []):
            if not any(flag in flags for _, _, flags in tests.values()):
                yield f"{feature['id']}: flags {flag}"
        for suite in feature.get("suites", []):
            if not any(suite in suites for _, suites, _ in tests.values()):
                yield f"{feature['id']}: suites {suite}"


def main():
    features = load_features()
    tests = load_tests()
    if sys.argv[1:] == ["check"]:
        idle = list(idle_rules(features, tests))
        print("\n".join(idle) if idle else "every rule matches a test")
        return 1 if idle else 0
    if sys.argv[1:] == ["names"]:
        for name, test in tests.items():
            if excluded_by(features, name, test) is None:
                print(name)
        return 0
    counts = collections.Counter(excluded_by(features, n, t) or "in scope" for n, t in tests.items())
    for feature, count in counts.most_common():
        print(f"{count:5} {feature}")
    print(f"{sum(counts.values()):5} all DTLS tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
