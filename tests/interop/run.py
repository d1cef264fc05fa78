#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libkeywheel against another DTLS stack over UDP on loopback; speaks TAP.

    run.py pion|dimpl|wolfssl|openssl|gnutls DTLS_PEER WORK_FOLDER

PION_DTLS=FOLDER: a checkout of pion/dtls that knows DTLS 1.3, instead of the release of the Go proxy.
"""

import functools
import itertools
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


def needs_go():
    if not shutil.which("go"):
        raise Missing("there is no go")
    found = version_of(["go", "version"], r"go(\d+)\.(\d+)")
    if found < (1, 24):
        raise Missing(f"Go 1.24, this one is {found[0]}.{found[1]}")


def build_go(folder, program, *options):
    built(["go", "build", "-o", program, *options, "."], folder, "its modules", {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"})


def build_pion(work):
    needs_go()
    program, folder, options = os.path.join(work, "pion-peer"), os.path.join(HERE, "pion"), []
    if os.environ.get("PION_DTLS"):
        # Beside go.mod, not in it: what was fetched is nobody's dependency.
        module = os.path.join(work, "pion-checkout")
        for ending in (".mod", ".sum"):
            shutil.copy(os.path.join(folder, "go" + ending), module + ending)
        checkout = os.path.abspath(os.environ["PION_DTLS"])
        subprocess.run(["go", "mod", "edit", "-replace", "github.com/pion/dtls/v3=" + checkout, module + ".mod"], check=True)
        options = ["-tags", "dtls13", "-mod=mod", "-modfile", module + ".mod"]
    build_go(folder, program, *options)
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


def build_wolfssl(work):
    for tool in ("cargo", "make"):
        if not shutil.which(tool):
            raise Missing(f"there is no {tool}")
    found = version_of(["cargo", "--version"], r"cargo (\d+)\.(\d+)")
    if found < (1, 85):
        raise Missing(f"cargo 1.85, this one is {found[0]}.{found[1]}")
    folder = os.path.join(work, "wolfssl")
    built([os.path.join(HERE, "wolfssl", "make-peer"), folder], HERE, "its sources")
    return os.path.join(folder, "wolfssl-peer")


GROUPS = (("p256", "secp256r1"), ("p384", "secp384r1"), ("x25519", "x25519"), ("hybrid", "X25519MLKEM768"))
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def pion_cases(ours, work):
    """DTLS 1.2 of the release, each case by an exception; DTLS 1.3 too, where a checkout has it."""
    pion = build_pion(work)
    if os.environ.get("PION_DTLS"):
        yield from pion_13_cases(ours, pion)
        pion_12 = ["--12"]
    else:
        pion_12 = []
    yield from pion_12_cases(ours, lambda role, port, *options: [pion, role, *LOOPBACK, port, *pion_12, *options])


def pion_13_cases(ours, program):
    server, client = [ours, "server", *LOOPBACK, "0"], [ours, "client", *LOOPBACK, "PORT"]

    def pion(role, port, *options):
        return [program, role, *LOOPBACK, port, *options]

    def facts(**more):
        return {"version": "DTLS 1.3", **more}

    yield "Pion 1.3 is the client", run_pair, server, pion("client", "PORT"), facts(group="X25519MLKEM768", profile="AEAD_AES_128_GCM")
    yield "Pion 1.3 is the client, with a cookie", run_pair, [*server, "--cookie"], pion("client", "PORT"), facts(retried="yes")
    yield "Pion 1.3 is a client of both versions", run_pair, server, pion("client", "PORT", "--both"), facts()
    yield "Pion 1.3 is the client, AES-256 for SRTP", run_pair, server, pion("client", "PORT", "--gcm-256"), facts(profile="AEAD_AES_256_GCM")
    yield "Pion 1.3 is the client, small datagrams", run_pair, [*server, "--mtu", "300"], pion("client", "PORT", "--mtu", "300"), facts()
    yield "Pion 1.3 is the client and changes its traffic keys", run_pair, server, pion("client", "PORT", "--update"), facts()
    for suite in SUITES:
        yield f"Pion 1.3 is the client, {suite} alone", run_pair, server, pion("client", "PORT", "--suite", suite), facts(suite=suite)
    for group, name in GROUPS:
        yield f"Pion 1.3 is the client, {group} alone", run_pair, server, pion("client", "PORT", "--group", group), facts(group=name)
    yield "Pion 1.3 is the server, and asks for a cookie", run_pair, pion("server", "0"), client, facts(retried="yes")
    yield "Pion 1.3 is the server", run_pair, pion("server", "0", "--no-cookie"), client, facts(retried="no")
    yield "Pion 1.3 is the server, small datagrams", run_pair, pion("server", "0", "--mtu", "300"), [*client, "--mtu", "300"], facts()
    yield "Pion 1.3 is the server and changes its traffic keys", run_pair, pion("server", "0", "--update"), client, facts()
    for group, name in GROUPS:
        yield f"Pion 1.3 is the server, {group} alone", run_pair, pion("server", "0", "--group", group), client, facts(group=name)


def pion_12_cases(ours, pion):
    facts = {"version": "DTLS 1.2", "profile": "AEAD_AES_128_GCM", "suite": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}
    strict = [ours, "server", *LOOPBACK, "0"]
    server, client = [*strict, "--allow-12"], [ours, "client", *LOOPBACK, "PORT", "--allow-12"]
    yield "Pion is the client", run_pair, server, pion("client", "PORT"), facts
    yield "Pion is the client, with a cookie", run_pair, [*server, "--cookie"], pion("client", "PORT"), {**facts, "retried": "yes"}
    yield "Pion is the client, small datagrams", run_pair, [*server, "--mtu", "300"], pion("client", "PORT", "--mtu", "300"), facts
    yield "Pion is the client, AES-256 for SRTP", run_pair, server, pion("client", "PORT", "--gcm-256"), {"profile": "AEAD_AES_256_GCM"}
    yield "Pion is the server, and asks for a cookie", run_pair, pion("server", "0"), client, {**facts, "retried": "yes"}
    yield "Pion is the server", run_pair, pion("server", "0", "--no-cookie"), client, {**facts, "retried": "no"}
    yield "Pion is the server, small datagrams", run_pair, pion("server", "0", "--mtu", "300"), [*client, "--mtu", "300"], facts
    yield ("Pion with AES_CM, by an exception", run_pair, [*server, "--cm-sha1"], pion("client", "PORT", "--cm-sha1"),
           {"profile": "AES_CM_128_HMAC_SHA1_80"})
    yield "Pion without an exception is refused", run_refusal, strict, pion("client", "PORT"), "protocol_version"
    yield "Pion without extended master secret is refused", run_refusal, server, pion("client", "PORT", "--no-ems"), "handshake_failure"


def dimpl_cases(ours, work):
    """DTLS 1.3 of another hand, both ways."""
    program = build_dimpl(work)
    certificate, key = make_der_certificate(work, "dimpl")

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


def wolfssl_cases(ours, work):
    """DTLS 1.3 and 1.2 of a third hand. Its server takes no first hello in fragments, so ours comes in one large datagram."""
    program = build_wolfssl(work)
    certificate, key = make_der_certificate(work, "wolfssl")
    server, client = [ours, "server", *LOOPBACK, "0"], [ours, "client", *LOOPBACK, "PORT", "--mtu", "1600"]

    def wolfssl(role, port, *options):
        return [program, role, *LOOPBACK, port, certificate + ".der", key + ".der", *options]

    def facts(**more):
        return {"version": "DTLS 1.3", **more}

    # Its hello has no share of ML-KEM until it is asked for one.
    yield "wolfSSL is the client", run_pair, server, wolfssl("client", "PORT"), facts(profile="AEAD_AES_128_GCM")
    yield "wolfSSL is the client, with a cookie", run_pair, [*server, "--cookie"], wolfssl("client", "PORT"), facts(retried="yes")
    yield "wolfSSL is a client of both versions", run_pair, server, wolfssl("client", "PORT", "--both"), facts()
    yield ("wolfSSL is the client, AES-256 for SRTP", run_pair, server, wolfssl("client", "PORT", "--profile", "SRTP_AEAD_AES_256_GCM"),
           facts(profile="AEAD_AES_256_GCM"))
    yield ("wolfSSL is the client, small datagrams", run_pair, [*server, "--mtu", "300"], wolfssl("client", "PORT", "--mtu", "300"), facts())
    yield "wolfSSL is the client and changes its traffic keys", run_pair, server, wolfssl("client", "PORT", "--update"), facts()
    for suite in SUITES:
        name = suite.replace("TLS_", "TLS13-").replace("_", "-").replace("AES-128", "AES128").replace("AES-256", "AES256")
        yield f"wolfSSL is the client, {suite} alone", run_pair, server, wolfssl("client", "PORT", "--suite", name), facts(suite=suite)
    for group, name in GROUPS:
        yield f"wolfSSL is the client, {group} alone", run_pair, server, wolfssl("client", "PORT", "--group", group), facts(group=name)
        yield (f"wolfSSL is the client, {group} alone, with a cookie", run_pair, [*server, "--cookie"],
               wolfssl("client", "PORT", "--group", group), facts(group=name, retried="yes"))
    yield "wolfSSL is the server, and asks for a cookie", run_pair, wolfssl("server", "0"), client, facts(retried="yes")
    yield "wolfSSL is the server", run_pair, wolfssl("server", "0", "--no-cookie"), client, facts(retried="no")
    yield ("wolfSSL is the server, small datagrams", run_pair, wolfssl("server", "0", "--mtu", "300"),
           [*client, "--preset", "nist", "--mtu", "600"], facts())
    yield "wolfSSL is the server and changes its traffic keys", run_pair, wolfssl("server", "0", "--update"), client, facts()
    for group, name in GROUPS:
        yield f"wolfSSL is the server, {group} alone", run_pair, wolfssl("server", "0", "--group", group), client, facts(group=name)
    facts_12 = {"version": "DTLS 1.2", "profile": "AEAD_AES_128_GCM"}
    yield "wolfSSL with DTLS 1.2 alone is refused", run_refusal, server, wolfssl("client", "PORT", "--12"), "protocol_version"
    yield "wolfSSL 1.2 is the client", run_pair, [*server, "--allow-12"], wolfssl("client", "PORT", "--12"), facts_12
    yield ("wolfSSL 1.2 is the client, with a cookie", run_pair, [*server, "--allow-12", "--cookie"], wolfssl("client", "PORT", "--12"),
           {**facts_12, "retried": "yes"})
    yield "wolfSSL 1.2 is the server", run_pair, wolfssl("server", "0", "--12"), [*client, "--allow-12"], facts_12


def make_certificate(work, name, algorithm):
    """Self-signed; both paths without their ending .pem."""
    certificate, key = os.path.join(work, name + "-certificate"), os.path.join(work, name + "-key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}", "-days", "2",
                    "-keyout", key + ".pem", "-out", certificate + ".pem"], check=True, capture_output=True)
    return certificate, key


def make_der_certificate(work, name):
    certificate, key = make_certificate(work, name, ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    subprocess.run(["openssl", "x509", "-in", certificate + ".pem", "-outform", "DER", "-out", certificate + ".der"], check=True)
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key + ".pem", "-outform", "DER", "-out", key + ".der"], check=True)
    return certificate, key


def tool_cases(name, tool, profile, options, more_cases):
    """A command line program as client and server, with an ECDSA and with an RSA certificate."""
    def cases(ours, work):
        if not shutil.which(tool):
            raise Missing(f"there is no {tool}")
        title = {"openssl": "OpenSSL", "gnutls": "GnuTLS"}[name]
        server, client = [ours, "server", *LOOPBACK, "0", "--allow-12"], [ours, "client", *LOOPBACK, "PORT", "--allow-12"]
        facts = {"version": "DTLS 1.2", "profile": profile}

        def peer(kind, role, port, *more):
            certificate, key = certificates[kind]
            return [sys.executable, os.path.join(HERE, "tool_peer.py"), name, role, *LOOPBACK, port, certificate + ".pem", key + ".pem", *more]

        certificates = {"ECDSA": make_certificate(work, name + "-ECDSA", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
                        "RSA": make_certificate(work, name + "-RSA", ["rsa:2048"])}
        for kind, rsa in (("ECDSA", []), ("RSA", ["--rsa"])):
            yield (f"{title} is the client, {kind}", run_pair, [*server, *options, *rsa],
                   peer(kind, "client", "PORT", "--profile", profile), facts)
            yield (f"{title} is the server, {kind}", run_pair, peer(kind, "server", "0", "--profile", profile),
                   [*client, *options, *rsa], facts)
            # As the server our certificate, ECDSA, decides about the suite.
            for what, ours_more, theirs_more, wanted in more_cases("ECDSA"):
                if "--listen" not in theirs_more:
                    yield (f"{title} is the client, {kind}, {what}", run_pair, [*server, *options, *rsa, *ours_more],
                           peer(kind, "client", "PORT", "--profile", profile, *theirs_more), {**facts, **wanted})
            for what, ours_more, theirs_more, wanted in more_cases(kind):
                if "--cookie" not in ours_more:
                    yield (f"{title} is the server, {kind}, {what}", run_pair, peer(kind, "server", "0", "--profile", profile, *theirs_more),
                           [*client, *options, *rsa, *ours_more], {**facts, **wanted})
        yield (f"{title} with RSA, without an exception for it, is refused", run_refusal, [*server, *options],
               peer("RSA", "client", "PORT", "--profile", profile), "handshake_failure")
        yield (f"{title} without an exception for DTLS 1.2 is refused", run_refusal, [ours, "server", *LOOPBACK, "0"],
               peer("ECDSA", "client", "PORT", "--profile", profile), "protocol_version")
    return cases


def suite_12(kind, bits):
    return f"TLS_ECDHE_{kind}_WITH_AES_{bits}_GCM_SHA{'384' if bits == 256 else '256'}"


def openssl_more(kind):
    """What is varied, our options, OpenSSL's options, facts. -listen answers hellos without a cookie with a request for one."""
    for bits, digest in ((128, 256), (256, 384)):
        yield (f"AES-{bits}", [], ["--suite", f"ECDHE-{kind}-AES{bits}-GCM-SHA{digest}"], {"suite": suite_12(kind, bits)})
    yield "AES-256 for SRTP", [], ["--profile", "AEAD_AES_256_GCM"], {"profile": "AEAD_AES_256_GCM"}
    yield "small datagrams", ["--mtu", "300"], ["--mtu", "300"], {}
    yield "with a cookie", ["--cookie"], [], {"retried": "yes"}
    yield "with a cookie", [], ["--listen"], {"retried": "yes"}
    yield "with a cookie, small datagrams, AES-256 for SRTP", ["--cookie", "--mtu", "300"], ["--mtu", "300", "--profile", "AEAD_AES_256_GCM"], \
        {"retried": "yes", "profile": "AEAD_AES_256_GCM"}


def gnutls_more(kind):
    """The same for GnuTLS, whose server asks for a cookie each time (so every case above is one with a retry)."""
    for bits in (128, 256):
        yield f"AES-{bits}", [], ["--suite", f"AES-{bits}-GCM"], {"suite": suite_12(kind, bits)}
    yield "small datagrams", ["--mtu", "300"], ["--mtu", "300"], {}
    yield "with a cookie", ["--cookie"], [], {"retried": "yes"}


CASES = {
    "pion": pion_cases,
    "dimpl": dimpl_cases,
    "wolfssl": wolfssl_cases,
    "openssl": tool_cases("openssl", "openssl", "AEAD_AES_128_GCM", [], openssl_more),
    "gnutls": tool_cases("gnutls", "gnutls-serv", "AES_CM_128_HMAC_SHA1_80", ["--cm-sha1"], gnutls_more),  # 3.7 has no other profile
}


def report(cases):
    """Runs (title, function) one after the other and says so in TAP; the exit code."""
    number = failed = 0
    for title, case in cases:
        number += 1
        try:
            case()
            print(f"ok {number} - {title}", flush=True)
        except Exception:  # a failed case is reported, the others still run
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), flush=True)
    print(f"1..{number}")
    return 1 if failed else 0


def main():
    name, ours, work = sys.argv[1:4]
    os.makedirs(work, exist_ok=True)
    cases = CASES[name](os.path.abspath(ours), os.path.abspath(work))
    try:
        first = next(cases)  # here a peer is built
    except Missing as missing:
        print(f"1..0 # SKIP needs {name}: {missing}")
        return 0
    return report((title, functools.partial(check, server, client, wanted))
                  for title, check, server, client, wanted in itertools.chain([first], cases))


if __name__ == "__main__":
    sys.exit(main())
