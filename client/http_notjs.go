//go:build !js

package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Native holds the options that only a native build has.
type Native struct {
	// HTTPClient does requests and dials sockets: its Transport and Timeout are
	// used, on a copy that follows no redirects and keeps no cookies. Default:
	// one of our own.
	HTTPClient *http.Client
}

const maxResponse = 512 << 20 // bytes of an answer

type httpTransport struct {
	client *http.Client
	own    bool // the connections are ours to close
}

func newPlatform(o *Options) (transport, dialer) {
	t := &httpTransport{client: &http.Client{}}
	if o.Native.HTTPClient != nil {
		c := *o.Native.HTTPClient
		t.client = &c
	}
	if t.client.Transport == nil {
		pool := http.DefaultTransport.(*http.Transport).Clone()
		pool.MaxIdleConnsPerHost = 64
		t.client.Transport, t.own = pool, true
	}
	t.client.Jar = nil
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return t, &socketDialer{client: t.client}
}

// Do implements transport.
func (t *httpTransport) Do(ctx context.Context, r *request) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if len(r.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	out := &response{Status: resp.StatusCode, Body: body}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		out.RetryAfter = time.Duration(min(n, 3600)) * time.Second
	}
	return out, nil
}

func readBody(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 && n <= 1<<20 {
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		return nil, errors.New("answer is too large")
	}
	return body, err
}

// Close implements transport.
func (t *httpTransport) Close() {
	if t.own {
		t.client.CloseIdleConnections()
	}
}
