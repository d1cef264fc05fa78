// SPDX-License-Identifier: Apache-2.0

//go:build dtls13

package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"hash"
	"os"
	"reflect"
	"slices"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol"
)

func versionOptions() ([]dtls.Option, error) {
	version := protocol.Version1_3
	if slices.Contains(os.Args, "--12") {
		version = protocol.Version1_2
	}
	options := []dtls.Option{dtls.WithMinVersion(version), dtls.WithMaxVersion(version)}
	if slices.Contains(os.Args, "--both") {
		options = []dtls.Option{dtls.WithMinVersion(protocol.Version1_2), dtls.WithMaxVersion(protocol.Version1_3)}
	}
	groups := map[string]elliptic.Curve{
		"p256": elliptic.P256, "p384": elliptic.P384, "x25519": elliptic.X25519, "hybrid": elliptic.X25519MLKEM768,
	}
	if name := optionValue("--group"); name != "" {
		group, ok := groups[name]
		if !ok {
			return nil, errors.New("no such group: " + name)
		}
		options = append(options, dtls.WithEllipticCurves(group))
	}
	if name := optionValue("--suite"); name != "" {
		for _, suite := range tls.CipherSuites() {
			if suite.Name == name {
				options = append(options, dtls.WithCipherSuites(dtls.CipherSuiteID(suite.ID)))
			}
		}
	}
	return options, nil
}

// It does not say which version was agreed; only 1.3 has suites of this form.
func versionOf(conn *dtls.Conn) (string, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return "", errors.New("no state")
	}
	if state.CipherSuiteID>>8 == 0x13 {
		return "DTLS 1.3", nil
	}
	return "DTLS 1.2", nil
}

// State.ExportKeyingMaterial of this development branch still computes RFC 5705 with the empty master secret of
// DTLS 1.2. So Pion's own exporter secret is taken from its state and expanded here, as RFC 8446, section 7.5 has it.
func export(conn *dtls.Conn, state *dtls.State, label string, length int) ([]byte, error) {
	if state.CipherSuiteID>>8 != 0x13 {
		return state.ExportKeyingMaterial(label, nil, length)
	}
	newHash := sha256.New
	if uint16(state.CipherSuiteID) == tls.TLS_AES_256_GCM_SHA384 {
		newHash = sha512.New384
	}
	active := reflect.ValueOf(conn).Elem().FieldByName("state").Elem().Elem()
	secret := active.FieldByName("KeySchedule").FieldByName("ExporterMasterSecret").Bytes()
	empty := newHash().Sum(nil)
	derived, err := expandLabel(newHash, secret, label, empty, len(empty))
	if err != nil {
		return nil, err
	}
	return expandLabel(newHash, derived, "exporter", empty, length)
}

// RFC 8446, section 7.1, with the prefix of RFC 9147, section 5.9.
func expandLabel(newHash func() hash.Hash, secret []byte, label string, context []byte, length int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(append(info, byte(len("dtls13"+label))), "dtls13"+label...)
	info = append(append(info, byte(len(context))), context...)
	return hkdf.Expand(newHash, secret, string(info), length)
}

func beforeData(ctx context.Context, conn *dtls.Conn) error {
	if !slices.Contains(os.Args, "--update") {
		return nil
	}
	return conn.UpdateKeys(ctx, dtls.KeyUpdateOptions{RequestPeerUpdate: true})
}
