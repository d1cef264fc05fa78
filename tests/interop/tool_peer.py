#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenSSL's and GnuTLS's command line programs behind the lines of dtls_peer.c; DTLS 1.2.

    tool_peer.py openssl|gnutls client|server ADDRESS PORT CERTIFICATE.pem KEY.pem [OPTION...]

    --profile NAME    SRTP profile, by our name
    --suite NAME      the only suite, by the tool's name (GnuTLS: its cipher, as AES-256-GCM)
    --mtu N
    --listen          OpenSSL's server asks for a cookie (GnuTLS's always does)
    --verbose

Their own output is read for facts; the other side's certificate, which they print, is compared with the
fingerprint that standard input brings.
"""

import base64
import hashlib
import os
import re
import select
import socket
import subprocess
import sys
import time

GREETING = b"Hello from Keywheel"
LABEL = "EXTRACTOR-dtls_srtp"
PATIENCE = 10
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.S)
PROFILES = {  # ours: (OpenSSL's, GnuTLS's, bytes that RFC 5764 exports)
    "AEAD_AES_128_GCM": ("SRTP_AEAD_AES_128_GCM", None, 56),
    "AEAD_AES_256_GCM": ("SRTP_AEAD_AES_256_GCM", None, 88),
    "AES_CM_128_HMAC_SHA1_80": ("SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_HMAC_SHA1_80", 60),
}


def fingerprint(der):
    digest = hashlib.sha256(der).hexdigest().upper()
    return "sha-256 " + ":".join(digest[i:i + 2] for i in range(0, len(digest), 2))


def der_of(pem):
    return base64.b64decode(b"".join(pem.split()))


def free_port(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return str(probe.getsockname()[1])


def option(name, otherwise=None):
    """The last one of that name counts."""
    found = [value for word, value in zip(sys.argv, sys.argv[1:]) if word == name]
    return found[-1] if found else otherwise


def openssl_command(role, address, port, certificate, key, profile):
    name, _, length = PROFILES[profile]
    common = ["-dtls1_2", "-cert", certificate, "-key", key, "-use_srtp", name,
              "-keymatexport", LABEL, "-keymatexportlen", str(length)]
    if option("--suite"):
        common += ["-cipher", option("--suite")]
    if option("--mtu"):
        common += ["-mtu", option("--mtu")]
    if role == "server":
        listen = ["-listen"] if "--listen" in sys.argv else []
        return ["openssl", "s_server", *common, "-accept", f"{address}:{port}", "-Verify", "1", *listen]
    return ["openssl", "s_client", *common, "-connect", f"{address}:{port}", "-showcerts"]


def gnutls_command(role, address, port, certificate, key, profile):
    _, name, length = PROFILES[profile]
    cipher = f":-CIPHER-ALL:+{option('--suite')}" if option("--suite") else ""
    common = ["--udp", "--port", port, "--x509certfile", certificate, "--x509keyfile", key, "--srtp-profiles", name,
              "--keymatexport", LABEL, "--keymatexportsize", str(length),
              "--priority", "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA" + cipher]
    if option("--mtu"):
        common += ["--mtu", option("--mtu")]
    if role == "server":
        return ["gnutls-serv", *common, "--echo", "--require-client-cert"]
    return ["gnutls-cli", *common, "--insecure", "--print-cert", address]


class Tool:
    """The child and what it has printed."""

    def __init__(self, command, verbose):
        self.child = subprocess.Popen(["stdbuf", "-o0", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = b""
        self.verbose = verbose

    def wait_for(self, pattern, what):
        pattern = re.compile(pattern, re.S) if isinstance(pattern, bytes) else pattern
        until = time.monotonic() + PATIENCE
        while True:
            match = pattern.search(self.seen)
            if match:
                return match
            if not select.select([self.child.stdout], [], [], max(0, until - time.monotonic()))[0]:
                raise RuntimeError(f"no {what} in {PATIENCE} s:\n{self.seen.decode(errors='replace')}")
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                raise RuntimeError(f"ended before {what}:\n{self.seen.decode(errors='replace')}")
            self.seen += piece
            if self.verbose:
                sys.stderr.write(piece.decode(errors="replace"))

    def say(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def stop(self):
        self.child.kill()
        self.child.wait()


def exchange(tool, name, role):
    """The client's words go out and come back; whoever is the client closes."""
    if role == "client":
        tool.say(GREETING + b"\n")
        # What s_client and gnutls-cli print of it is what came back: they do not show what they send.
        tool.wait_for(re.escape(GREETING), "echo")
        print("data", GREETING.decode(), flush=True)
        tool.child.stdin.close()
        tool.child.wait(PATIENCE)
    elif name == "openssl":
        tool.wait_for(re.escape(GREETING), "greeting")
        print("data", GREETING.decode(), flush=True)
        tool.say(GREETING + b"\n")
        tool.wait_for(rb"DONE|shutdown|CONNECTION CLOSED|ACCEPT.*ACCEPT", "end")
    else:
        tool.wait_for(re.escape(GREETING), "greeting")  # gnutls-serv echoes by itself
        print("data", GREETING.decode(), flush=True)
        tool.wait_for(rb"EOF", "end")


def main():
    name, role, address, port, certificate, key = sys.argv[1:7]
    profile = option("--profile", "AEAD_AES_128_GCM")
    with open(certificate, "rb") as file:
        ours = der_of(PEM.search(file.read()).group(1))
    if role == "server":
        port = free_port(address)
    command = (openssl_command if name == "openssl" else gnutls_command)(role, address, port, certificate, key, profile)
    if role == "server":
        tool = Tool(command, "--verbose" in sys.argv)
        tool.wait_for(rb"ACCEPT|Echo Server listening|UDP.*ready|Processed", "listener")
        time.sleep(0.3)  # it says so before it listens
        print("port", port, flush=True)
    print("fingerprint", fingerprint(ours), flush=True)
    expected = sys.stdin.readline().strip()
    if role == "client":
        tool = Tool(command, "--verbose" in sys.argv)
    try:
        if name == "gnutls" and role == "server":  # shows no keys over UDP
            tool.wait_for(rb"DTLS profile set to", "connection")
            keys = None
        else:
            pattern = rb"(?:Keying|Key) material: ([0-9A-Fa-f]{%d})" % (2 * PROFILES[profile][2])
            keys = tool.wait_for(pattern, "exported keys").group(1).decode().lower()
        shown = [der_of(match.group(1)) for match in PEM.finditer(tool.seen)]
        if shown and expected not in [fingerprint(der) for der in shown]:
            raise RuntimeError(f"another certificate than {expected}")
        print(f"certificate {'seen' if shown else 'not shown'}\nprofile {profile}", flush=True)
        if keys:
            print("srtp", keys)
        print("connected", flush=True)
        exchange(tool, name, role)
    finally:
        tool.stop()
    print("closed", flush=True)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"tool_peer: {error}")
