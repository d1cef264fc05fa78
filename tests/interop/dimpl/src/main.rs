// SPDX-License-Identifier: Apache-2.0

//! dimpl's DTLS as a program that speaks the lines of tests/interop/dtls_peer.c:
//!
//!     dimpl-peer client|server ADDRESS PORT CERTIFICATE.der KEY.der [--12|--auto] [--group p256|p384|x25519] [--no-cookie]
//!
//! Its own fingerprint (and port) come first, the other side's is read from standard input.

use std::io::{BufRead, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, NamedGroup, Output, SrtpProfile};
use sha2::{Digest, Sha256};

type Failure = Box<dyn std::error::Error>;

const GREETING: &[u8] = b"Hello from Keywheel";
const PATIENCE: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_millis(200);

fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(der)
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect();
    format!("sha-256 {}", pairs.join(":"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Lines are read one by one, so they must not wait in a buffer.
fn say(line: String) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

struct Peer {
    is_client: bool,
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    expected: String,
    has_peer: bool,
    is_connected: bool,
    is_done: bool,
    wake: Instant,
}

impl Peer {
    /// Drains the engine: sends packets, prints facts, answers data.
    fn drain(&mut self, dtls: &mut Dtls) -> Result<(), Failure> {
        let mut buffer = vec![0u8; 4096];
        let mut reply = None;
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    if let Some(remote) = self.remote {
                        self.socket.send_to(packet, remote)?;
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    self.wake = at;
                    break;
                }
                Output::PeerCert(der) => {
                    if fingerprint(der) != self.expected {
                        return Err("fingerprint mismatch".into());
                    }
                    self.has_peer = true;
                }
                Output::KeyingMaterial(keys, profile) => {
                    let name = match profile {
                        SrtpProfile::AEAD_AES_128_GCM => "AEAD_AES_128_GCM",
                        SrtpProfile::AEAD_AES_256_GCM => "AEAD_AES_256_GCM",
                        _ => "another",
                    };
                    say(format!("profile {name}\nsrtp {}", hex(&keys)));
                }
                Output::Connected => {
                    if !self.has_peer {
                        return Err("connected without a certificate".into());
                    }
                    self.is_connected = true;
                    say("connected".into());
                    if self.is_client {
                        reply = Some(GREETING.to_vec());
                    }
                }
                Output::ApplicationData(data) => {
                    say(format!("data {}", String::from_utf8_lossy(data)));
                    if self.is_client {
                        self.is_done = true;
                    } else {
                        reply = Some(data.to_vec());
                    }
                }
                Output::CloseNotify => {
                    say("closed".into());
                    self.is_done = true;
                }
                _ => {}
            }
        }
        if let Some(data) = reply {
            dtls.send_application_data(&data)?;
            return self.drain(dtls);
        }
        Ok(())
    }

    fn turn(&mut self, dtls: &mut Dtls) -> Result<(), Failure> {
        let mut packet = [0u8; 4096];
        let wait = self.wake.saturating_duration_since(Instant::now());
        self.socket.set_read_timeout(Some(
            wait.clamp(Duration::from_millis(1), Duration::from_millis(200)),
        ))?;
        match self.socket.recv_from(&mut packet) {
            Ok((len, from)) => {
                self.remote = Some(from);
                dtls.handle_timeout(Instant::now())?;
                dtls.handle_packet(&packet[..len])?;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                if Instant::now() >= self.wake {
                    dtls.handle_timeout(Instant::now())?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.drain(dtls)
    }
}

fn group_option(arguments: &[String]) -> Result<Option<NamedGroup>, Failure> {
    let Some(at) = arguments.iter().position(|a| a == "--group") else {
        return Ok(None);
    };
    Ok(Some(match arguments.get(at + 1).map(String::as_str) {
        Some("p256") => NamedGroup::Secp256r1,
        Some("p384") => NamedGroup::Secp384r1,
        Some("x25519") => NamedGroup::X25519,
        _ => return Err("no such group".into()),
    }))
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, address, port, certificate, key, ..] = arguments.as_slice() else {
        return Err("client|server ADDRESS PORT CERTIFICATE KEY [OPTION...]".into());
    };
    let is_client = role == "client";
    let remote: SocketAddr = (address.parse::<std::net::IpAddr>()?, port.parse()?).into();
    let local = if is_client {
        (remote.ip(), 0).into()
    } else {
        remote
    };
    let socket = UdpSocket::bind(local)?;
    let identity = DtlsCertificate {
        certificate: std::fs::read(certificate)?,
        private_key: std::fs::read(key)?,
    };
    if !is_client {
        say(format!("port {}", socket.local_addr()?.port()));
    }
    say(format!(
        "fingerprint {}",
        fingerprint(&identity.certificate)
    ));
    let mut expected = String::new();
    std::io::stdin().lock().read_line(&mut expected)?;

    let mut builder = Config::builder();
    if let Some(group) = group_option(&arguments)? {
        builder = builder.kx_groups(&[group]);
    }
    if arguments.iter().any(|a| a == "--no-cookie") {
        builder = builder.use_server_cookie(false);
    }
    let config = Arc::new(builder.build()?);
    let make = if arguments.iter().any(|a| a == "--12") {
        Dtls::new_12
    } else if arguments.iter().any(|a| a == "--auto") {
        Dtls::new_auto
    } else {
        Dtls::new_13
    };
    let mut dtls = make(config, identity, Instant::now());
    dtls.set_active(is_client);
    dtls.handle_timeout(Instant::now())?;

    let mut peer = Peer {
        is_client,
        socket,
        remote: is_client.then_some(remote),
        expected: expected.trim().to_string(),
        has_peer: false,
        is_connected: false,
        is_done: false,
        wake: Instant::now(),
    };
    let until = Instant::now() + PATIENCE;
    peer.drain(&mut dtls)?;
    while !peer.is_done && Instant::now() < until {
        peer.turn(&mut dtls)?;
    }
    if !peer.is_done {
        return Err(if peer.is_connected {
            "no data"
        } else {
            "no handshake"
        }
        .into());
    }
    if is_client {
        dtls.close()?;
        peer.drain(&mut dtls)?;
        say("closed".into());
        // The other side may still answer.
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until {
            peer.turn(&mut dtls)?;
        }
    }
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("dimpl: {error}");
        std::process::exit(1);
    }
}
