// SPDX-License-Identifier: Apache-2.0

// Pion's DTLS as a program that speaks the lines of tests/interop/dtls_peer.c:
//
//	pion client|server ADDRESS PORT [--cm-sha1] [--no-ems] [--gcm-256] [--no-cookie] [--mtu N]
//	     [--12] [--group NAME] [--suite NAME] [--update]     (the second line: built with the tag dtls13)
//
// versions_12.go and versions_13.go tell the releases of the Go proxy from a checkout that has DTLS 1.3.
// Its own fingerprint (and port) come first, the other side's is read from standard input.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
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
	version, err := versionOf(conn)
	if err != nil {
		return err
	}
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
	keys, err := export(conn, &state, srtpLabel, lengths[profile])
	if err != nil {
		return err
	}
	exported, err := export(conn, &state, exportLabel, 32)
	if err != nil {
		return err
	}
	fmt.Printf("version %s\nprofile %s\nsrtp %x\nexport %x\nconnected\n", version, names[profile], keys, exported)
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

// The word behind an option of the command line, or "".
func optionValue(name string) string {
	if i := slices.Index(os.Args, name); i >= 0 && i+1 < len(os.Args) {
		return os.Args[i+1]
	}
	return ""
}

func sharedOptions(certificate tls.Certificate, expected string) ([]dtls.Option, error) {
	profiles := []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM}
	if slices.Contains(os.Args, "--cm-sha1") {
		profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	} else if slices.Contains(os.Args, "--gcm-256") {
		profiles = profiles[1:]
	}
	ems := dtls.RequireExtendedMasterSecret
	if slices.Contains(os.Args, "--no-ems") {
		ems = dtls.DisableExtendedMasterSecret
	}
	options := []dtls.Option{
		dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true), dtls.WithVerifyPeerCertificate(verify(expected)),
		dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithExtendedMasterSecret(ems),
	}
	if mtu := optionValue("--mtu"); mtu != "" {
		n, err := strconv.Atoi(mtu)
		if err != nil {
			return nil, err
		}
		options = append(options, dtls.WithMTU(n))
	}
	more, err := versionOptions()
	return append(options, more...), err
}

func connection(socket *net.UDPConn, address net.Addr, options []dtls.Option, isClient bool) (*dtls.Conn, error) {
	if isClient {
		clientOptions := make([]dtls.ClientOption, len(options))
		for i, option := range options {
			clientOptions[i] = option
		}
		return dtls.ClientWithOptions(socket, address, clientOptions...)
	}
	first, err := peek(socket)
	if err != nil {
		return nil, err
	}
	serverOptions := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(slices.Contains(os.Args, "--no-cookie")),
	}
	for _, option := range options {
		serverOptions = append(serverOptions, option)
	}
	return dtls.ServerWithOptions(socket, first, serverOptions...)
}

func run() error {
	if len(os.Args) < 4 {
		return errors.New("client|server ADDRESS PORT [OPTION...]")
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

	options, err := sharedOptions(certificate, strings.TrimSpace(expected))
	if err != nil {
		return err
	}
	conn, err := connection(socket, address, options, isClient)
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
	if err = beforeData(ctx, conn); err != nil {
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
