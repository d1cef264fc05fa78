# SPDX-License-Identifier: Apache-2.0
"""`openssl s_client` and `s_server` of DTLS 1.2 as peers: their exported keys must be ours."""

import os
import re
import socket
import subprocess
import time

from peers import PATIENCE, Peer, expect

EXPORT = ["-use_srtp", "SRTP_AEAD_AES_128_GCM", "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]


def identity(work):
    """A P-256 key with a self-signed certificate, and its fingerprint as SDP writes it."""
    key, certificate = os.path.join(work, "openssl-key.pem"), os.path.join(work, "openssl-certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=openssl",
                    "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    printed = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"], check=True,
                             capture_output=True, text=True).stdout
    return key, certificate, "sha-256 " + printed.strip().partition("=")[2]


class Program:
    """One run of the openssl command, whose output we wait for."""

    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.said = ""

    def wait_for(self, pattern):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.said += (self.process.stdout.read() or b"").decode(errors="replace")
            found = re.search(pattern, self.said)
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{' '.join(self.command)}: no '{pattern}' in\n{self.said}")

    def close(self):
        self.process.kill()
        self.process.wait()


def check_facts(peer, program, wanted):
    exported = program.wait_for(r"Keying material: ([0-9A-F]+)").group(1).lower()
    peer.wait_for("connected")
    ours = re.sub(r"[^0-9a-f]", "", peer.facts["srtp"].lower())
    expect(ours == exported, f"srtp {ours}, openssl {exported}", peer)
    for fact, value in {"version": "DTLS 1.2", "profile": "AEAD_AES_128_GCM", **wanted}.items():
        expect(peer.facts.get(fact) == value, f"{fact} is {peer.facts.get(fact)}, wanted {value}", peer)


def run_s_client(ours, work, options, wanted):
    """libkeywheel is the server."""
    key, certificate, fingerprint = identity(work)
    peer = Peer(ours)
    program = None
    try:
        port = peer.wait_for("port")
        peer.tell(fingerprint)
        program = Program(["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
                           *EXPORT, *options])
        check_facts(peer, program, wanted)
    finally:
        peer.kill()
        if program:
            program.close()


def run_s_server(ours, work, options, wanted):
    """libkeywheel is the client."""
    key, certificate, fingerprint = identity(work)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = Program(["openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
                       "-Verify", "1", *EXPORT, *options])
    peer = None
    try:
        program.wait_for("ACCEPT")
        peer = Peer([port if word == "PORT" else word for word in ours])
        peer.wait_for("fingerprint")
        peer.tell(fingerprint)
        check_facts(peer, program, wanted)
    finally:
        program.close()
        if peer:
            peer.kill()


def run_refused(ours, work, options, reason):
    """libkeywheel is the server, and the terms allow no 1.2."""
    key, certificate, fingerprint = identity(work)
    peer = Peer(ours)
    program = None
    try:
        port = peer.wait_for("port")
        peer.tell(fingerprint)
        program = Program(["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
                           *EXPORT, *options])
        program.wait_for("alert protocol version|alert handshake failure")
        expect(reason in peer.wait_for("closed"), "closed", peer)
    finally:
        peer.kill()
        if program:
            program.close()
