#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/go-pion against keywheeld in a network of its own; speaks TAP.

    go_pion.py KEYWHEELD KEYWHEEL WORK_FOLDER

Pion WebRTC speaks DTLS 1.2, so it is refused without an exception and admitted by one.
"""

import functools
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import run as suite

HERE = os.path.dirname(os.path.abspath(__file__))
IN_NAMESPACE = os.path.join(HERE, "..", "browser", "in-namespace")
EXAMPLE = os.path.join(HERE, "..", "..", "examples", "go-pion")
TOKEN = "go-pion-test-token"
PORT = 18280
PERIOD_S = 8  # due at 75 to 95 % of it
SECONDS = 18
EXCEPTION = """    exceptions:
      - name: pion-without-13
        reason: Pion's releases have no DTLS 1.3
        expires: 2099-01-01
        network: 127.0.0.0/8
        allow: [dtls-1.2]
"""


class Gateway:
    """keywheeld with one tenant and a short rotation."""

    def __init__(self, program, folder, exception):
        os.makedirs(folder, exist_ok=True)
        self.data = os.path.join(folder, "data")
        token = os.path.join(folder, "token")
        with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(TOKEN + "\n")
        config = os.path.join(folder, "keywheel.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"listen: [127.0.0.1:{PORT}]\ndata: {self.data}\ntenants:\n  - name: demo\n    token-file: {token}\n"
                       f"    rotation:\n      period: {PERIOD_S}s\n{exception}")
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf8")
        self.child = subprocess.Popen([program, "--config", config], stdout=self.log, stderr=self.log)
        until = time.monotonic() + 15
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=1).close()
                return
            except OSError as error:
                if self.child.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the gateway does not answer: {error}\n{self.said()}") from None
                time.sleep(0.05)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.child.terminate()
        return self.child.wait(15)


def call(program, seconds):
    return subprocess.run([program, "-url", f"http://127.0.0.1:{PORT}/v1/calls", "-seconds", str(seconds)], capture_output=True,
                          text=True, timeout=seconds + 60, env={**os.environ, "KEYWHEEL_TOKEN": TOKEN})


def audit(keywheel, gateway):
    """The facts, after the gateway has stored them all and ended."""
    assert gateway.stop() == 0, gateway.said()

    def ask(*words):
        done = subprocess.run([keywheel, "audit", *words, "--json", "--tenant", "demo", "--data", gateway.data],
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    sessions = {one["session"] for one in ask("list")}
    return [fact for session in sessions for fact in ask("show", session)]


def refused_without_an_exception(keywheeld, keywheel, program, folder):
    gateway = Gateway(keywheeld, folder, "")
    try:
        done = call(program, 10)
    finally:
        facts = audit(keywheel, gateway)
    assert done.returncode != 0 and "generation 1" not in done.stdout, (done.stdout, done.stderr)
    assert [fact["alert"] for fact in facts if fact["type"] == "refused"] == ["protocol_version"], facts


def rotates(keywheeld, keywheel, program, folder):
    gateway = Gateway(keywheeld, folder, EXCEPTION)
    try:
        done = call(program, SECONDS)
    finally:
        facts = audit(keywheel, gateway)
    story = f"{done.stdout}\n{done.stderr}\n{json.dumps(facts)}\n{gateway.said()}"
    assert done.returncode == 0, story
    assert "rotation parallel;" in done.stdout, story
    end = re.search(r"sent (\d+) received (\d+) lost (-?\d+) rotations (\d+)", done.stdout)
    assert end, story
    sent, _, lost, rotations = map(int, end.groups())
    print(f"# {end.group(0)}")
    assert rotations >= 1 and "reason time" in done.stdout, story
    assert sent > 45 * SECONDS and lost == 0, story
    established = [fact for fact in facts if fact["type"] == "generation-established"]
    assert [fact["generation"] for fact in established] == list(range(1, rotations + 2)), story
    assert {(fact["dtls_version"], fact["srtp_profile"]) for fact in established} == {("DTLS 1.2", "AEAD_AES_128_GCM")}, story
    for whose in ("peer_fingerprint", "our_fingerprint"):
        assert len({fact[whose] for fact in established}) == rotations + 1, story
    rotated = [fact for fact in facts if fact["type"] == "rotated"]
    assert [fact["method"] for fact in rotated] == ["parallel"] * rotations, story
    used = [fact["name"] for fact in facts if fact["type"] == "exception-used"]
    assert used == ["pion-without-13"] * (rotations + 1), story
    assert not any(fact["type"] == "overdue" for fact in facts), story


def build(work):
    suite.needs_go()
    program = os.path.join(work, "go-pion")
    suite.build_go(EXAMPLE, program)


def main():
    keywheeld, keywheel, work = map(os.path.abspath, sys.argv[1:4])
    os.makedirs(work, exist_ok=True)
    if os.environ.get("KW_NAMESPACE") != "inside":
        try:
            build(work)  # out here, where the Go proxy is
        except suite.Missing as missing:
            print(f"1..0 # SKIP needs pion: {missing}")
            return 0
        inside = subprocess.run([IN_NAMESPACE, sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
        if inside.returncode == 77:
            print("1..0 # SKIP needs pion: this machine allows no network namespace")
            return 0
        return inside.returncode
    program = os.path.join(work, "go-pion")
    folders = (os.path.join(work, f"{name}-{os.getpid()}-{time.time_ns()}") for name in ("strict", "rotation"))
    cases = [("Pion WebRTC without an exception for DTLS 1.2 is refused", refused_without_an_exception),
             ("Pion WebRTC with DTLS 1.2, by an exception, changes its keys", rotates)]
    return suite.report((title, functools.partial(case, keywheeld, keywheel, program, next(folders))) for title, case in cases)


if __name__ == "__main__":
    sys.exit(main())
