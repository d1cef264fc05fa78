// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const maxAnswer = 1 << 16 // of a gateway that we believe in only so far

// gateway is the HTTP side of one call: docs/http-api.md.
type gateway struct {
	url    *url.URL
	token  string
	client http.Client
}

// answer is what the gateway says to an offer.
type answer struct {
	sdp      string
	location *url.URL
	links    map[string]*url.URL // by the last part of their relation
	rotation string
}

// event is a line of the event stream.
type event struct {
	kind       string
	Generation int    `json:"generation"`
	Reason     string `json:"reason"`
	End        string `json:"end"`
	Alert      string `json:"alert"`
	Rotation   struct {
		DueInSeconds *float64 `json:"dueInSeconds"`
	} `json:"rotation"`
}

// refusal is a status that is no success, in the words of RFC 9457.
type refusal struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Rule   string `json:"rule"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the gateway refused (%d, rule %q): %s %s", r.Status, r.Rule, r.Title, r.Detail)
}

// final: asking again would not help.
func (r *refusal) final() bool {
	return r.Status == 401 || r.Status == 403 || r.Status == 404 || r.Status == 422
}

func newGateway(address, token string) (*gateway, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return &gateway{url: parsed, token: token, client: http.Client{
		// The token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (g *gateway) request(ctx context.Context, method string, to *url.URL, body string) (*http.Response, error) {
	if to.Scheme != g.url.Scheme || to.Host != g.url.Host {
		return nil, fmt.Errorf("%s is another place than %s, and gets no token", to.Host, g.url.Host)
	}
	request, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+g.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/sdp")
	}
	response, err := g.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		problem := refusal{Status: response.StatusCode}
		_ = json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&problem) // no JSON: the status has to do
		return nil, &problem
	}
	return response, nil
}

var linkForm = regexp.MustCompile(`<([^>]*)>[^<]*;\s*rel="?([^";,\s]+)`)

// offer posts SDP: a new call, or the next generation of one.
func (g *gateway) offer(ctx context.Context, to *url.URL, sdp string) (*answer, error) {
	response, err := g.request(ctx, http.MethodPost, to, sdp)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	result := &answer{sdp: string(body), links: map[string]*url.URL{}, rotation: response.Header.Get("Keywheel-Rotation")}
	if location := response.Header.Get("Location"); location != "" {
		if result.location, err = to.Parse(location); err != nil {
			return nil, err
		}
	}
	for _, match := range linkForm.FindAllStringSubmatch(strings.Join(response.Header.Values("Link"), ", "), -1) {
		if target, err := to.Parse(match[1]); err == nil {
			result.links[match[2][strings.LastIndex(match[2], ":")+1:]] = target
		}
	}
	return result, nil
}

// listen hands out the events of the call until ctx ends or the stream does; it comes back by itself.
func (g *gateway) listen(ctx context.Context, from *url.URL, take func(event)) {
	for ctx.Err() == nil {
		if response, err := g.request(ctx, http.MethodGet, from, ""); err == nil {
			readEvents(response.Body, take)
			response.Body.Close()
		}
		sleep(ctx, time.Second)
	}
}

// readEvents reads server-sent events: lines "event: NAME" and "data: JSON", an empty line ends one.
func readEvents(from io.Reader, take func(event)) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxAnswer)
	var one event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			one.kind = value
		case name == "data":
			_ = json.Unmarshal([]byte(value), &one) // what we do not understand we do not need
		case lines.Text() == "" && one.kind != "":
			take(one)
			one = event{}
		}
	}
}

func sleep(ctx context.Context, how time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(how):
	}
}
