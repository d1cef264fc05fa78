#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libkeywheel against another DTLS stack over UDP on loopback; speaks TAP.

    run.py pion|dimpl|openssl|gnutls DTLS_PEER WORK_FOLDER
"""

import os
import re
import shutil
import subprocess
import sys
import traceback

from peers import run_pair, run_refusal

HERE = os.path.dirname(os.path.abspath(__file__))
LOOPBACK = ["127.0.0.1"]


class Missing(Exception):
    """What a peer needs is not here."""


def built(command, cwd, what, env=None):
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if run.returncode != 0:
        raise Missing(f"{what}: {run.stderr.strip().splitlines()[-1] if run.stderr.strip() else 'does not build'}")


def version_of(command, pattern):
    run = subprocess.run(command, capture_output=True, text=True)
    match = re.search(pattern, run.stdout)
    return tuple(int(part) for part in match.groups()) if match else (0, 0)


def build_pion(work):
    if not shutil.which("go"):
        raise Missing("there is no go")
    found = version_of(["go", "version"], r"go(\d+)\.(\d+)")
    if found < (1, 24):
        raise Missing(f"Go 1.24, this one is {found[0]}.{found[1]}")
    program = os.path.join(work, "pion-peer")
    built(["go", "build", "-o", program, "."], os.path.join(HERE, "pion"), "its modules",
          {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"})
    return program


def build_dimpl(work):
    if not shutil.which("cargo"):
        raise Missing("there is no cargo")
    found = version_of(["cargo", "--version"], r"cargo (\d+)\.(\d+)")
    if found < (1, 89):
        raise Missing(f"Rust 1.89, this one is {found[0]}.{found[1]}")
    target = os.path.join(work, "dimpl-target")
    built(["cargo", "build", "--locked", "--quiet"], os.path.join(HERE, "dimpl"), "its crates", {"CARGO_TARGET_DIR": target})
    return os.path.join(target, "debug", "dimpl-peer")


def pion_cases(ours, work):
    """Pion speaks DTLS 1.2 alone, so every case rests on an exception."""
    pion = build_pion(work)
    facts = {"version": "DTLS 1.2", "profile": "AEAD_AES_128_GCM", "suite": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}
    allow = ["--allow-12"]
    yield ("Pion is the client", run_pair,
           [ours, "server", *LOOPBACK, "0", *allow], [pion, "client", *LOOPBACK, "PORT"], facts)
    yield ("Pion is the client, with a cookie", run_pair,
           [ours, "server", *LOOPBACK, "0", *allow, "--cookie"], [pion, "client", *LOOPBACK, "PORT"], facts)
    yield ("Pion is the server", run_pair,
           [pion, "server", *LOOPBACK, "0"], [ours, "client", *LOOPBACK, "PORT", *allow], facts)
    yield ("Pion with AES_CM, by an exception", run_pair,
           [ours, "server", *LOOPBACK, "0", *allow, "--cm-sha1"], [pion, "client", *LOOPBACK, "PORT", "--cm-sha1"],
           {"profile": "AES_CM_128_HMAC_SHA1_80"})
    yield ("Pion without an exception is refused", run_refusal,
           [ours, "server", *LOOPBACK, "0"], [pion, "client", *LOOPBACK, "PORT"], "protocol_version")
    yield ("Pion without extended master secret is refused", run_refusal,
           [ours, "server", *LOOPBACK, "0", *allow], [pion, "client", *LOOPBACK, "PORT", "--no-ems"], "handshake_failure")


def dimpl_cases(ours, work):
    """DTLS 1.3 of another hand, both ways."""
    program = build_dimpl(work)
    certificate, key = make_certificate(work, "dimpl", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    subprocess.run(["openssl", "x509", "-in", certificate + ".pem", "-outform", "DER", "-out", certificate + ".der"], check=True)
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key + ".pem", "-outform", "DER", "-out", key + ".der"], check=True)

    def dimpl(role, port, *options):
        return [program, role, *LOOPBACK, port, certificate + ".der", key + ".der", *options]

    def facts(**more):
        return {"version": "DTLS 1.3", **more}

    yield ("dimpl is the client", run_pair, [ours, "server", *LOOPBACK, "0"], dimpl("client", "PORT"),
           facts(suite="TLS_AES_128_GCM_SHA256", profile="AEAD_AES_128_GCM"))
    yield ("dimpl is the client, with a cookie", run_pair, [ours, "server", *LOOPBACK, "0", "--cookie"], dimpl("client", "PORT"),
           facts(retried="yes"))
    yield ("dimpl is the client, told to change its group", run_pair, [ours, "server", *LOOPBACK, "0", "--preset", "nist"],
           dimpl("client", "PORT"), facts(group="secp256r1"))
    yield ("dimpl is a client of both versions", run_pair, [ours, "server", *LOOPBACK, "0"], dimpl("client", "PORT", "--auto"), facts())
    for group, name in (("p256", "secp256r1"), ("p384", "secp384r1"), ("x25519", "x25519")):
        yield (f"dimpl is the client, {group} alone", run_pair, [ours, "server", *LOOPBACK, "0"],
               dimpl("client", "PORT", "--group", group), facts(group=name))
    yield ("dimpl is the server, and asks for a cookie", run_pair, dimpl("server", "0"), [ours, "client", *LOOPBACK, "PORT"],
           facts(retried="yes"))
    yield ("dimpl is the server", run_pair, dimpl("server", "0", "--no-cookie"), [ours, "client", *LOOPBACK, "PORT"], facts())
    yield ("dimpl is the server, P-384 alone", run_pair, dimpl("server", "0", "--group", "p384"), [ours, "client", *LOOPBACK, "PORT"],
           facts(group="secp384r1"))
    yield ("dimpl with DTLS 1.2 alone is refused", run_refusal, [ours, "server", *LOOPBACK, "0"], dimpl("client", "PORT", "--12"),
           "protocol_version")


def make_certificate(work, name, algorithm):
    """Self-signed; both paths without their ending .pem."""
    certificate, key = os.path.join(work, name + "-certificate"), os.path.join(work, name + "-key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}", "-days", "2",
                    "-keyout", key + ".pem", "-out", certificate + ".pem"], check=True, capture_output=True)
    return certificate, key


def tool_cases(name, tool, profile, options):
    """A command line program as client and server, with an ECDSA and with an RSA certificate."""
    def cases(ours, work):
        if not shutil.which(tool):
            raise Missing(f"there is no {tool}")
        title = {"openssl": "OpenSSL", "gnutls": "GnuTLS"}[name]
        for kind, algorithm, more in (("ECDSA", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], []), ("RSA", ["rsa:2048"], ["--rsa"])):
            certificate, key = make_certificate(work, f"{name}-{kind}", algorithm)
            peer = [sys.executable, os.path.join(HERE, "tool_peer.py"), name]
            ends = [certificate + ".pem", key + ".pem", "--profile", profile]
            facts = {"version": "DTLS 1.2", "profile": profile}
            allow = ["--allow-12", *options, *more]
            yield (f"{title} is the client, {kind}", run_pair, [ours, "server", *LOOPBACK, "0", *allow],
                   [*peer, "client", *LOOPBACK, "PORT", *ends], facts)
            yield (f"{title} is the server, {kind}", run_pair, [*peer, "server", *LOOPBACK, "0", *ends],
                   [ours, "client", *LOOPBACK, "PORT", *allow], facts)
        yield (f"{title} with RSA, without an exception for it, is refused", run_refusal,
               [ours, "server", *LOOPBACK, "0", "--allow-12", *options], [*peer, "client", *LOOPBACK, "PORT", *ends], "handshake_failure")
    return cases


CASES = {
    "pion": pion_cases,
    "dimpl": dimpl_cases,
    "openssl": tool_cases("openssl", "openssl", "AEAD_AES_128_GCM", []),
    "gnutls": tool_cases("gnutls", "gnutls-serv", "AES_CM_128_HMAC_SHA1_80", ["--cm-sha1"]),  # 3.7 has no other profile
}


def main():
    name, ours, work = sys.argv[1:4]
    os.makedirs(work, exist_ok=True)
    number = failed = 0
    try:
        for title, check, server, client, wanted in CASES[name](os.path.abspath(ours), os.path.abspath(work)):
            number += 1
            try:
                check(server, client, wanted)
                print(f"ok {number} - {title}", flush=True)
            except Exception:  # a failed case is reported, the others still run
                failed += 1
                print(f"not ok {number} - {title}", flush=True)
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), flush=True)
    except Missing as missing:
        print(f"1..0 # SKIP needs {name}: {missing}")
        return 0
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
