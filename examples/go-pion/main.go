// SPDX-License-Identifier: Apache-2.0

// A call through a Keywheel gateway on Pion WebRTC. Its keys change as the gateway's policy wants it, while media goes on.
//
//	go-pion -url http://127.0.0.1:8080/v1/calls -token-file FILE [-seconds N]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func run() error {
	address := flag.String("url", "http://127.0.0.1:8080/v1/calls", "where calls are made")
	tokenFile := flag.String("token-file", "", "a file with the token; else KEYWHEEL_TOKEN of the environment")
	seconds := flag.Int("seconds", 0, "how long the call lasts; 0: until interrupted")
	flag.Parse()

	token := os.Getenv("KEYWHEEL_TOKEN")
	if *tokenFile != "" {
		text, err := os.ReadFile(*tokenFile)
		if err != nil {
			return err
		}
		token = string(text)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *seconds > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*seconds)*time.Second)
		defer cancel()
	}

	c, err := newCall(*address, strings.TrimSpace(token))
	if err != nil {
		return err
	}
	if err = c.start(ctx); err != nil {
		return err
	}
	err = c.run(ctx)
	fmt.Printf("sent %d received %d lost %d rotations %d\n", c.sent, c.received, c.lost, c.rotated)
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-pion:", err)
		os.Exit(1)
	}
}
