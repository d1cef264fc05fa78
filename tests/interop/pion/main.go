// SPDX-License-Identifier: Apache-2.0

// Pion's DTLS as a program that speaks the lines of tests/interop/dtls_peer.c:
//
//	pion client|server ADDRESS PORT [--cm-sha1] [--no-ems]
//
// Its own fingerprint (and port) come first, the other side's is read from standard input.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
)

const (
	exportLabel = "EXPORTER-keywheel-interop"
	srtpLabel   = "EXTRACTOR-dtls_srtp"
	greeting    = "Hello from Keywheel"
	patience    = 10 * time.Second
)

func fingerprint(der []byte) string {
	digest := sha256.Sum256(der)
	pairs := make([]string, len(digest))
	for i, b := range digest {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return "sha-256 " + strings.Join(pairs, ":")
}

// WebRTC's rule: whatever certificate, but the signalled one.
func verify(expected string) func([][]byte, [][]*x509.Certificate) error {
	return func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 || fingerprint(raw[0]) != expected {
			return errors.New("fingerprint mismatch")
		}
		return nil
	}
}

func printFacts(conn *dtls.Conn) error {
	state, ok := conn.ConnectionState()
	if !ok {
		return errors.New("no state")
	}
	profile, _ := conn.SelectedSRTPProtectionProfile()
	names := map[dtls.SRTPProtectionProfile]string{
		dtls.SRTP_AEAD_AES_128_GCM:       "AEAD_AES_128_GCM",
		dtls.SRTP_AEAD_AES_256_GCM:       "AEAD_AES_256_GCM",
		dtls.SRTP_AES128_CM_HMAC_SHA1_80: "AES_CM_128_HMAC_SHA1_80",
	}
	lengths := map[dtls.SRTPProtectionProfile]int{
		dtls.SRTP_AEAD_AES_128_GCM:       2 * (16 + 12),
		dtls.SRTP_AEAD_AES_256_GCM:       2 * (32 + 12),
		dtls.SRTP_AES128_CM_HMAC_SHA1_80: 2 * (16 + 14),
	}
	keys, err := state.ExportKeyingMaterial(srtpLabel, nil, lengths[profile])
	if err != nil {
		return err
	}
	exported, err := state.ExportKeyingMaterial(exportLabel, nil, 32)
	if err != nil {
		return err
	}
	fmt.Printf("version DTLS 1.2\nprofile %s\nsrtp %x\nexport %x\nconnected\n", names[profile], keys, exported)
	return nil
}

func exchange(conn *dtls.Conn, isClient bool) error {
	buffer := make([]byte, 2048)
	if isClient {
		if _, err := conn.Write([]byte(greeting)); err != nil {
			return err
		}
	}
	n, err := conn.Read(buffer)
	if err != nil {
		return err
	}
	fmt.Printf("data %s\n", buffer[:n])
	if isClient {
		return nil
	}
	if _, err = conn.Write(buffer[:n]); err != nil {
		return err
	}
	// The client closes.
	_, err = conn.Read(buffer)
	if err == nil {
		return errors.New("more data than expected")
	}
	return nil
}

func run() error {
	if len(os.Args) < 4 {
		return errors.New("client|server ADDRESS PORT [--cm-sha1] [--no-ems]")
	}
	isClient := os.Args[1] == "client"
	address, err := net.ResolveUDPAddr("udp", net.JoinHostPort(os.Args[2], os.Args[3]))
	if err != nil {
		return err
	}
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return err
	}
	local := address
	if isClient {
		local = &net.UDPAddr{IP: address.IP}
	}
	socket, err := net.ListenUDP("udp", local)
	if err != nil {
		return err
	}
	if !isClient {
		fmt.Printf("port %d\n", socket.LocalAddr().(*net.UDPAddr).Port)
	}
	fmt.Printf("fingerprint %s\n", fingerprint(certificate.Certificate[0]))
	expected, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}

	profiles := []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM}
	if slices.Contains(os.Args, "--cm-sha1") {
		profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	}
	ems := dtls.RequireExtendedMasterSecret
	if slices.Contains(os.Args, "--no-ems") {
		ems = dtls.DisableExtendedMasterSecret
	}
	check := verify(strings.TrimSpace(expected))

	var conn *dtls.Conn
	if isClient {
		conn, err = dtls.ClientWithOptions(socket, address,
			dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true), dtls.WithVerifyPeerCertificate(check),
			dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithExtendedMasterSecret(ems))
	} else {
		var first net.Addr
		if first, err = peek(socket); err == nil {
			conn, err = dtls.ServerWithOptions(socket, first,
				dtls.WithCertificates(certificate), dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithVerifyPeerCertificate(check),
				dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithExtendedMasterSecret(ems))
		}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err = conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if err = printFacts(conn); err != nil {
		return err
	}
	if err = conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err = exchange(conn, isClient); err != nil {
		return err
	}
	fmt.Println("closed")
	return conn.Close()
}

// The first sender's address; the datagram is lost and the client repeats it, which tests that too.
func peek(socket *net.UDPConn) (net.Addr, error) {
	buffer := make([]byte, 2048)
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	_, from, err := socket.ReadFrom(buffer)
	if err != nil {
		return nil, err
	}
	return from, socket.SetReadDeadline(time.Time{})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}
