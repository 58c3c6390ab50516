package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// sock is a client's end of a socket.
type sock struct {
	t    testing.TB
	c    *websocket.Conn
	mute *atomic.Bool // it answers no pings
}

// frame is a message of the server.
type frame struct {
	binary bool
	raw    string

	Type           string           `json:"type"`
	User           string           `json:"user"`
	Role           string           `json:"role"`
	Protocol       map[string]any   `json:"protocol"`
	ExpiresIn      *int64           `json:"expires_in"`
	Code           string           `json:"code"`
	Message        string           `json:"message"`
	SubscriptionID string           `json:"subscription_id"`
	Schema         []field          `json:"schema"`
	Reset          bool             `json:"reset"`
	Control        control          `json:"batch_control"`
	ChangeType     string           `json:"change_type"`
	Rows           []map[string]any `json:"rows"`
	OldValues      []map[string]any `json:"old_values"`
	LastSeqID      json.RawMessage  `json:"last_seq_id"`
}

type field struct {
	Name string `json:"name"`
	Type any    `json:"data_type"`
}

type control struct {
	BatchNum  int          `json:"batch_num"`
	HasMore   bool         `json:"has_more"`
	Status    string       `json:"status"`
	LastSeqID *json.Number `json:"last_seq_id"`
}

// position is the last_seq_id of a control; "" for null.
func (c control) position() string {
	if c.LastSeqID == nil {
		return ""
	}
	return c.LastSeqID.String()
}

// dial opens a socket; headers come in pairs.
func dial(t testing.TB, s *servertest.Server, rawQuery string, headers ...string) *sock {
	t.Helper()
	k, resp, err := tryDial(t, s, rawQuery, headers...)
	if err != nil {
		t.Fatalf("dial: %v %v", err, resp)
	}
	return k
}

func tryDial(t testing.TB, s *servertest.Server, rawQuery string, headers ...string) (*sock, *http.Response, error) {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	mute := new(atomic.Bool)
	c, resp, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+"/v1/ws"+rawQuery, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: smallBuffer}},
		HTTPHeader: h, OnPingReceived: func(context.Context, []byte) bool { return !mute.Load() },
	})
	if err != nil {
		return nil, resp, err
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow() })
	return &sock{t, c, mute}, resp, nil
}

// open opens a socket and authenticates it.
func open(t testing.TB, s *servertest.Server, user string) *sock {
	t.Helper()
	k := dial(t, s, "")
	k.authenticate(mint(t, user), `{"serialization":"json","compression":"gzip"}`)
	k.want("auth_success")
	return k
}

func (k *sock) authenticate(token, protocol string) {
	k.t.Helper()
	k.send(fmt.Sprintf(`{"type":"authenticate","method":"jwt","token":%s,"protocol":%s}`, quote(token), protocol))
}

// send sends a text message.
func (k *sock) send(text string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := k.c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		k.t.Fatalf("send %.100s: %v", text, err)
	}
}

// subscribe sends a subscribe message; options is JSON, "" for none.
func (k *sock) subscribe(id, sql, options string) {
	k.t.Helper()
	if options != "" {
		options = `,"options":` + options
	}
	k.send(`{"type":"subscribe","subscription":{"id":` + quote(id) + `,"sql":` + quote(sql) + options + `}}`)
}

func (k *sock) unsubscribe(id string) {
	k.t.Helper()
	k.send(`{"type":"unsubscribe","subscription_id":` + quote(id) + `}`)
}

// next reads the next frame.
func (k *sock) next() frame {
	k.t.Helper()
	f, err := k.read()
	if err != nil {
		k.t.Fatalf("read: %v", err)
	}
	return f
}

func (k *sock) read() (frame, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	kind, b, err := k.c.Read(ctx)
	if err != nil {
		return frame{}, err
	}
	f := frame{binary: kind == websocket.MessageBinary}
	if f.binary {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return f, fmt.Errorf("a binary frame that is not gzip: %w", err)
		}
		if b, err = io.ReadAll(z); err != nil {
			return f, err
		}
	}
	f.raw = string(b)
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("%w in %.300s", err, b)
	}
	return f, nil
}

// want reads the next frame, which is of that type.
func (k *sock) want(kind string) frame {
	k.t.Helper()
	f := k.next()
	if f.Type != kind {
		k.t.Fatalf("got %.600s, want a frame of type %s", f.raw, kind)
	}
	return f
}

// wantError reads the next frame, which is an error of that subscription.
func (k *sock) wantError(id, code string) frame {
	k.t.Helper()
	f := k.want("error")
	if f.SubscriptionID != id || f.Code != code || f.Message == "" {
		k.t.Fatalf("got %s, want %s for %q", f.raw, code, id)
	}
	return f
}

// wantChange reads the next frame, which is a change of that sort.
func (k *sock) wantChange(id, change string) frame {
	k.t.Helper()
	f := k.want("change")
	if f.SubscriptionID != id || f.ChangeType != change {
		k.t.Fatalf("got %s, want %s for %q", f.raw, change, id)
	}
	return f
}

// wantClose reads the close frame, which comes next.
func (k *sock) wantClose(code int, reason string) {
	k.t.Helper()
	f, err := k.read()
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		k.t.Fatalf("got %.300s, %v; want close %d %s", f.raw, err, code, reason)
	}
	if int(closed.Code) != code || reason != "" && closed.Reason != reason {
		k.t.Fatalf("closed with %d %q, want %d %q", closed.Code, closed.Reason, code, reason)
	}
}

// wantEnd reads an auth_error of that code and the close that follows.
func (k *sock) wantEnd(code string) frame {
	k.t.Helper()
	f := k.want("auth_error")
	if f.Code != code || f.Message == "" || f.binary {
		k.t.Fatalf("got %s, want %s", f.raw, code)
	}
	k.wantClose(1008, code)
	return f
}

// snapshot reads an acknowledgement and batches until ready, and gives the rows.
func (k *sock) snapshot(id string) (ack frame, all []map[string]any, position string) {
	k.t.Helper()
	ack = k.want("subscription_ack")
	if ack.SubscriptionID != id {
		k.t.Fatalf("got %s, want the acknowledgement of %q", ack.raw, id)
	}
	for n := 0; ; n++ {
		f := k.want("initial_data_batch")
		if f.SubscriptionID != id || f.Control.BatchNum != n || f.Rows == nil {
			k.t.Fatalf("got %s, want batch %d of %q", f.raw, n, id)
		}
		status := "ready"
		switch {
		case f.Control.HasMore && n == 0:
			status = "loading"
		case f.Control.HasMore:
			status = "loading_batch"
		}
		if f.Control.Status != status {
			k.t.Fatalf("got %s, want status %s", f.raw, status)
		}
		all = append(all, f.Rows...)
		if !f.Control.HasMore {
			return ack, all, f.Control.position()
		}
	}
}

// column gives one cell of each row as text.
func column(rows []map[string]any, name string) string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r[name]))
	}
	return strings.Join(out, " ")
}

// smallBuffer dials so that little fits into the kernel's buffer of a client
// that does not read.
func smallBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	return c, err
}
