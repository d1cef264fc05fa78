// SPDX-License-Identifier: Apache-2.0

//go:build !dtls13

package main

import (
	"context"

	"github.com/pion/dtls/v3"
)

func versionOptions() ([]dtls.Option, error) { return nil, nil }

func versionOf(*dtls.Conn) (string, error) { return "DTLS 1.2", nil }

func export(_ *dtls.Conn, state *dtls.State, label string, length int) ([]byte, error) {
	return state.ExportKeyingMaterial(label, nil, length)
}

func beforeData(context.Context, *dtls.Conn) error { return nil }
