// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	frameTime   = 20 * time.Millisecond
	frameClock  = 960
	overlapTime = 1500 * time.Millisecond // old packets still under way
	mediaTime   = 8 * time.Second         // a connected generation that carries nothing for so long has failed
	retireTime  = 12 * time.Second        // the gateway keeps an old generation for its overlap, at most 10 s
)

var (
	opus        = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}
	silence     = []byte{0xf8, 0xff, 0xfe} // a frame of Opus
	retryDelays = []time.Duration{1, 2, 4, 8, 15, 30}
)

// call is a call whose keys change while it lasts.
type call struct {
	gateway  *gateway
	api      *webrtc.API
	track    *webrtc.TrackLocalStaticRTP
	resource *url.URL
	links    map[string]*url.URL

	mu      sync.Mutex
	seen    map[string]chan struct{} // "switched 3": closed when the gateway has said so
	current *generation

	due    chan string // reasons, at most one waits
	closed chan string // why the gateway ended the call
	sent   uint64
	// What generations that are gone had received, and missed.
	received uint64
	lost     int64
	rotated  int
}

func newCall(address, token string) (*call, error) {
	gateway, err := newGateway(address, token)
	if err != nil {
		return nil, err
	}
	api, err := newAPI()
	if err != nil {
		return nil, err
	}
	track, err := webrtc.NewTrackLocalStaticRTP(opus, "audio", "go-pion")
	return &call{
		gateway: gateway, api: api, track: track, seen: map[string]chan struct{}{}, due: make(chan string, 1), closed: make(chan string, 1),
	}, err
}

// start makes the first generation, and the call with it.
func (c *call) start(ctx context.Context) error {
	first, said, err := negotiate(ctx, c.api, 1, c.track, func(ctx context.Context, sdp string) (*answer, error) {
		return c.gateway.offer(ctx, c.gateway.url, sdp)
	})
	if said != nil {
		c.resource, c.links = said.location, said.links
		fmt.Println("rotation", said.rotation)
	}
	if err != nil {
		c.end()
		return err
	}
	c.current = first
	fmt.Println("generation 1", first.suite())
	return nil
}

// word is a channel that is closed when the gateway has said this of that generation.
func (c *call) word(kind string, generation int) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(kind, " ", generation)
	if c.seen[key] == nil {
		c.seen[key] = make(chan struct{})
	}
	return c.seen[key]
}

func (c *call) take(one event) {
	switch one.kind {
	case "state": // the first word of a stream: what happened while nobody listened
		if one.Rotation.DueInSeconds != nil && *one.Rotation.DueInSeconds == 0 {
			c.wantRotation("due")
		}
	case "due":
		c.wantRotation(one.Reason)
	case "closed":
		select {
		case c.closed <- one.End:
		default:
		}
	default:
		closeOnce(c.word(one.kind, one.Generation))
	}
}

func (c *call) wantRotation(reason string) {
	select {
	case c.due <- reason:
	default: // one waits already
	}
}

// send gives the track a frame every 20 ms; it goes to every generation that carries it.
func (c *call) send(ctx context.Context) {
	ticker := time.NewTicker(frameTime)
	defer ticker.Stop()
	packet := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: true}, Payload: silence}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = c.track.WriteRTP(packet) // a generation that closes meanwhile misses it
			packet.SequenceNumber++
			packet.Timestamp += frameClock
			packet.Marker = false
			c.sent++
		}
	}
}

// rotate makes the next generation while the current one carries media. When it fails, nothing was lost.
func (c *call) rotate(ctx context.Context, reason string) error {
	began := time.Now()
	to := linkOr(c.links["generations"], c.resource, "generations")
	next, _, err := negotiate(ctx, c.api, c.current.number+1, c.track, func(ctx context.Context, sdp string) (*answer, error) {
		return c.gateway.offer(ctx, to, sdp)
	})
	if err != nil {
		return err
	}
	connected := time.Since(began)
	if err = await(ctx, next.media, mediaTime, "nothing came back"); err == nil {
		err = await(ctx, c.word("switched", next.number), mediaTime, "the gateway did not switch")
	}
	if err != nil {
		_ = next.pc.Close()
		return err
	}
	old := c.current
	c.current = next
	c.rotated++
	sleep(ctx, overlapTime)
	c.leave(old)
	fmt.Printf("generation %d %s\n", next.number, next.suite())
	fmt.Printf("rotated %d reason %s connected-ms %d lost %d\n", next.number, reason, connected.Milliseconds(), old.lost.Load())
	// Not before the last secret of the old one is wiped is there room for another.
	return await(ctx, c.word("retired", old.number), retireTime, "the gateway did not retire the old generation")
}

func (c *call) leave(g *generation) {
	c.received += g.received.Load()
	c.lost += g.lost.Load()
	_ = g.pc.Close()
}

// run lasts until ctx ends or the gateway ends the call.
func (c *call) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.gateway.listen(ctx, linkOr(c.links["events"], c.resource, "events"), c.take)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.send(ctx)
	}()
	defer func() {
		cancel()
		<-done
		c.end()
		c.leave(c.current)
	}()

	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case why := <-c.closed:
			return errors.New("the gateway ended the call: " + why)
		case reason := <-c.due:
			err := c.rotate(ctx, reason)
			if err == nil {
				failures = 0
				continue
			}
			var refused *refusal
			if ctx.Err() != nil {
				return nil
			} else if errors.As(err, &refused) && refused.final() {
				return err
			}
			delay := retryDelays[min(failures, len(retryDelays)-1)] * time.Second
			failures++
			fmt.Printf("rotation failed, the old keys go on, again in %v: %v\n", delay, err)
			time.AfterFunc(delay, func() { c.wantRotation(reason) })
		}
	}
}

// end tells the gateway. Before the connections go, so that it is no loss to it.
func (c *call) end() {
	if c.resource == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if response, err := c.gateway.request(ctx, http.MethodDelete, c.resource, ""); err == nil {
		response.Body.Close()
	}
}

func await(ctx context.Context, what chan struct{}, patience time.Duration, otherwise string) error {
	select {
	case <-what:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New(otherwise)
	}
}
