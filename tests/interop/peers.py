# SPDX-License-Identifier: Apache-2.0
"""Programs that speak the lines of dtls_peer.c, and how two of them are set against each other."""

import queue
import subprocess
import threading
import time

PATIENCE = 15


class Peer:
    """One side: a process whose lines of output are facts."""

    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.facts = {}
        self.lines = queue.Queue()
        self.errors = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def wait_for(self, name, patience=PATIENCE):
        """Reads facts until this one is there."""
        until = time.monotonic() + patience
        while name not in self.facts:
            try:
                line = self.lines.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"{self.describe()}: no '{name}' in {patience} s") from None
            if line is None:
                raise RuntimeError(f"{self.describe()}: ended before '{name}'")
            key, _, value = line.partition(" ")
            self.facts[key] = value
        return self.facts[name]

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def finish(self):
        """Reads the rest and returns the exit code."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.describe()}: does not end") from None
        while True:
            line = self.lines.get(timeout=PATIENCE)
            if line is None:
                return code
            key, _, value = line.partition(" ")
            self.facts[key] = value

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def describe(self):
        return f"{' '.join(self.command)}\n  facts {self.facts}\n  errors {self.errors[-10:]}"


def introduce(server, client_command):
    """Starts the client against a server that has said its port; both learn the other's fingerprint."""
    port = server.wait_for("port")
    client = Peer([port if word == "PORT" else word for word in client_command])
    server.tell(client.wait_for("fingerprint"))
    client.tell(server.wait_for("fingerprint"))
    return client


def expect(condition, what, *peers):
    if not condition:
        raise RuntimeError(what + "".join("\n" + peer.describe() for peer in peers))


def run_pair(server_command, client_command, wanted):
    """A whole handshake; `wanted` are facts that libkeywheel's side must state."""
    server = Peer(server_command)
    client = None
    try:
        client = introduce(server, client_command)
        codes = client.finish(), server.finish()
        expect(codes == (0, 0), f"exit codes (client, server) {codes}", client, server)
        for peer in (client, server):
            expect("connected" in peer.facts, "not connected", client, server)
            expect(peer.facts.get("data") == "Hello from Keywheel", "application data", client, server)
        for fact in ("srtp", "export", "profile"):
            if fact in client.facts and fact in server.facts:
                expect(client.facts[fact] == server.facts[fact], f"{fact} differs", client, server)
        expect(client.facts.get("srtp"), "no SRTP keys", client, server)
        for fact, value in wanted.items():
            stated = [peer.facts[fact] for peer in (client, server) if fact in peer.facts]
            expect(stated and all(one == value for one in stated), f"{fact} is {stated}, wanted {value}", client, server)
        return client.facts, server.facts
    finally:
        server.kill()
        if client:
            client.kill()


def run_refusal(server_command, client_command, wanted_closed):
    """A handshake that must not come to pass; libkeywheel's side ends with `closed ...`."""
    server = Peer(server_command)
    client = None
    try:
        client = introduce(server, client_command)
        client.finish(), server.finish()
        # Only libkeywheel's side says how it ended; some tools print a session that never came to be.
        ours = [peer for peer in (client, server) if peer.facts.get("closed")]
        expect(len(ours) == 1, "one side says how it ended", client, server)
        expect("connected" not in ours[0].facts and ours[0].process.returncode != 0, "connected", client, server)
        expect(wanted_closed in ours[0].facts["closed"], f"wanted {wanted_closed}", client, server)
    finally:
        server.kill()
        if client:
            client.kill()
