// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const connectTime = 15 * time.Second // ICE and DTLS on a slow network; beyond it there is no path

// generation is one PeerConnection: one DTLS handshake, one set of SRTP keys.
type generation struct {
	number    int
	pc        *webrtc.PeerConnection
	connected chan struct{} // closed once
	failed    chan struct{} // closed once
	media     chan struct{} // closed with the first packet that comes back
	received  atomic.Uint64
	lost      atomic.Int64
}

// newAPI offers what Keywheel's policy wants: AEAD for SRTP, extended master secret where DTLS is 1.2.
func newAPI() (*webrtc.API, error) {
	settings := webrtc.SettingEngine{}
	settings.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM)
	settings.SetDTLSExtendedMasterSecret(dtls.RequireExtendedMasterSecret)

	media := &webrtc.MediaEngine{}
	if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 111}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry)), nil
}

// negotiate makes a generation that sends the track; ask posts its offer. It comes back when DTLS stands.
func negotiate(ctx context.Context, api *webrtc.API, number int, track webrtc.TrackLocal,
	ask func(context.Context, string) (*answer, error),
) (*generation, *answer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, nil, err
	}
	g := &generation{number: number, pc: pc, connected: make(chan struct{}), failed: make(chan struct{}), media: make(chan struct{})}
	said, err := g.connect(ctx, track, ask)
	if err != nil {
		_ = pc.Close()
		return nil, said, err // said: a call that must be ended
	}
	return g, said, nil
}

func (g *generation) connect(ctx context.Context, track webrtc.TrackLocal, ask func(context.Context, string) (*answer, error)) (*answer, error) {
	g.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			closeOnce(g.connected)
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			closeOnce(g.failed)
		}
	})
	g.pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { g.hear(remote) })
	sender, err := g.pc.AddTrack(track)
	if err != nil {
		return nil, err
	}
	go drain(sender)
	offer, err := g.pc.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	gathered := webrtc.GatheringCompletePromise(g.pc)
	if err = g.pc.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	said, err := ask(ctx, g.pc.LocalDescription().SDP)
	if err != nil {
		return nil, err
	}
	if err = g.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: said.sdp}); err != nil {
		return said, err
	}
	select {
	case <-g.connected:
		return said, nil
	case <-g.failed:
		return said, errors.New("DTLS or ICE failed")
	case <-ctx.Done():
		return said, errors.New("no path, or DTLS was not admitted")
	}
}

// hear counts what comes back, and the gaps in it.
func (g *generation) hear(remote *webrtc.TrackRemote) {
	var last uint16
	for isFirst := true; ; isFirst = false {
		var packet *rtp.Packet
		packet, _, err := remote.ReadRTP()
		if err != nil {
			return
		}
		g.received.Add(1)
		if isFirst {
			closeOnce(g.media)
		} else {
			g.lost.Add(int64(int16(packet.SequenceNumber-last)) - 1)
		}
		last = packet.SequenceNumber
	}
}

// suite is what was agreed, in Pion's words.
func (g *generation) suite() string {
	for _, one := range g.pc.GetStats() {
		if transport, ok := one.(webrtc.TransportStats); ok && transport.DTLSCipher != "" {
			return transport.DTLSCipher + " " + transport.SRTPCipher
		}
	}
	return "unknown"
}

// RTCP of a sender is read by nobody else, and interceptors want it read.
func drain(sender *webrtc.RTPSender) {
	for buffer := make([]byte, 1500); ; {
		if _, _, err := sender.Read(buffer); err != nil {
			return
		}
	}
}

// closeOnce is called by one goroutine per channel.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// linkOr is what the gateway's Link header says, or the path that docs/http-api.md gives it.
func linkOr(link, base *url.URL, otherwise string) *url.URL {
	if link != nil {
		return link
	}
	return base.JoinPath(otherwise)
}
