package server

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/wire"
)

// Close codes (protocol 2.11 and 2.13).
const (
	closeGoingAway = 1001
	closePolicy    = 1008
	closeProtocol  = 1011
	closeHeartbeat = 4000
)

// socket is one client's WebSocket: who it is, what it watches, what waits to
// be written. It implements wsHandler for what comes in and live.Outlet for
// what goes out.
type socket struct {
	s        *Server
	conn     wsConn
	queue    queue
	number   int64        // of all sockets there ever were
	network  string       // of the client, for the limits on attempts and on those not signed in
	lastSeen atomic.Int64 // unix milliseconds
	messages *rate.Limiter
	header   *upgradeToken   // nil: the client authenticates by message
	ctx      context.Context // of what the socket asks for; it ends with the socket
	cancel   context.CancelFunc

	mu    sync.Mutex
	who   *identity.Principal // mu guards it and the rest; nil: not authenticated
	proto wire.Protocol
	form  form        // that frames of subscriptions are sent in
	tried bool        // an authenticate message came: the timer for it has ended
	user  string      // for whom it counts; "": for its network, as one not signed in
	timer *time.Timer // of what the authentication waits for next
	subs  map[string]*live.Subscription
	gone  bool
}

// upgradeToken is what the Authorization header of the upgrade holds.
type upgradeToken struct {
	token string
	err   error
	proto wire.Protocol // as the query of the URL asks for it
}

// socket answers GET /v1/ws (protocol 2.1).
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		if ok, _ := s.origins.allows(origin, r.Host); !ok {
			writeAuthError(w, http.StatusForbidden, "origin_not_allowed", "pages of this origin may not connect; an operator lists those that may in allowed_origins")
			return
		}
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		writeAuthError(w, http.StatusUpgradeRequired, "upgrade_required", "this route takes WebSocket connections only")
		return
	}
	query, _ := url.ParseQuery(r.URL.RawQuery)
	if query.Has("access_token") || query.Has("token") {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", "tokens are not accepted in the URL")
		return
	}
	network := identity.NetworkOf(s.clientAddr(r))
	if e := s.sockets.admit(network); e != nil {
		w.Header().Set("Retry-After", "5")
		writeAuthError(w, http.StatusServiceUnavailable, "busy", e.Message)
		return
	}
	k := &socket{
		s: s, number: s.sockets.number.Add(1), network: network, form: gzipJSON,
		messages: rate.NewLimiter(rate.Limit(s.options.MessageRate), s.options.MessageRate),
		subs:     make(map[string]*live.Subscription),
	}
	k.ctx, k.cancel = context.WithCancel(identity.WithClient(context.Background(), identity.ClientOf(r.Context())))
	k.queue.limit = s.options.MaxQueue
	k.queue.write = k.write
	k.queue.ended = k.cut
	k.queue.panicked = func(p any) { s.engine.Panicked("the writer of a socket", p) }
	if strings.Contains(strings.ToLower(r.URL.RawQuery), "compress=false") { // clients vary in its case
		k.form = plainJSON
	}
	if r.Header.Get("Authorization") != "" {
		k.header = new(upgradeToken)
		k.header.token, k.header.err = bearer(r)
		k.header.proto = wire.Protocol{Serialization: query.Get("serialization"), Compression: query.Get("compression")}
	}
	if err := serve(s.sockets.upgrader, w, r, k); err != nil { // which has been answered
		k.cancel()
		k.left()
	}
}

// opened runs before the first message is read.
func (k *socket) opened(c wsConn) {
	k.conn = c
	k.active()
	if !k.s.sockets.add(k) {
		k.end(closeGoingAway, "Server shutting down")
		return
	}
	if k.header != nil {
		k.authenticate(k.header.token, k.header.proto, k.header.err)
		k.header = nil
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(k.s.options.AuthTimeout, k.authTimeout)
}

// active notes that the client is there.
func (k *socket) active() { k.lastSeen.Store(time.Now().UnixMilli()) }

func (k *socket) pinged(payload []byte) { k.queue.put(frame{op: opPong, data: payload}) }

// disconnected is the end of the socket: nothing of it stays.
func (k *socket) disconnected() {
	k.cancel()
	k.queue.close()
	k.mu.Lock()
	k.gone = true
	subs := k.subs
	k.subs = nil
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	for _, sub := range subs {
		sub.End()
	}
	k.s.sockets.remove(k)
	k.left()
}

// left takes a socket that is gone off what the server counts.
func (k *socket) left() {
	k.mu.Lock()
	user := k.user
	k.mu.Unlock()
	k.s.sockets.dismiss(user, k.network)
}

// isKnown counts the socket for its user from now on. It reports whether that one
// may have it.
func (k *socket) isKnown(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || k.user != "" {
		return true
	}
	k.user = user
	return k.s.sockets.known(k.network, user)
}

// tooMuch is called when a client that has not signed in sends more than that
// takes.
func (k *socket) tooMuch() {
	k.refuse(wire.CodeMessageTooLarge, "this is more than a client may send before it has signed in")
}

func (k *socket) cut() { k.conn.cut() }

// write sends one frame. It checks first that whoever it is for may still read
// it, so that no row leaves after a session has ended.
func (k *socket) write(f frame) error {
	switch f.op {
	case opPing:
		return k.conn.ping()
	case opPong:
		return k.conn.pong(f.data)
	case opClose:
		return k.conn.close(f.code, string(f.data))
	}
	k.mu.Lock()
	mayRead, form := k.mayRead(), k.form
	k.mu.Unlock()
	if f.sub != nil && !mayRead {
		return nil // the socket is being closed
	}
	if f.plain {
		form = plainJSON
	}
	return k.conn.write(form.of(f.msg))
}

// mayRead reports whether rows may be sent: the client is authenticated, its
// session stands, and its token has not been over for longer than the grace in
// which it may be renewed. The caller holds mu.
func (k *socket) mayRead() bool {
	if k.who == nil || k.s.users.Revoked(k.who) {
		return false
	}
	return k.who.ExpiresAt.IsZero() || time.Since(k.who.ExpiresAt) < k.s.options.TokenGrace
}

// Push implements live.Outlet.
func (k *socket) Push(sub *live.Subscription, f *live.Frame) bool {
	return k.queue.put(frame{sub: sub, msg: f})
}

// Turn implements live.Outlet.
func (k *socket) Turn(ctx context.Context) (func(), error) { return k.queue.turn(ctx) }

// Pass implements live.Outlet.
func (k *socket) Pass(sub *live.Subscription, f *live.Frame) error {
	return k.queue.pass(frame{sub: sub, msg: f})
}

// Waiting implements live.Outlet.
func (k *socket) Waiting(sub *live.Subscription) live.Waiting {
	bytes, oldest := k.queue.waiting(sub)
	return live.Waiting{
		Socket: strconv.FormatInt(k.number, 10), LastSeen: time.UnixMilli(k.lastSeen.Load()), Bytes: bytes, Oldest: oldest,
	}
}

// End implements live.Outlet.
func (k *socket) End(sub *live.Subscription, f *live.Frame) {
	k.queue.last(frame{sub: sub, msg: f, plain: true})
}

// send queues a frame of the socket's own: JSON text, whatever was agreed on,
// as clients expect of the sign-in and of errors. A client that floods the
// server and reads no answers is cut off.
func (k *socket) send(f *wire.ServerFrame) {
	msg := &live.Frame{JSON: wire.AppendServerFrame(nil, f)}
	if !k.queue.put(frame{msg: msg, plain: true}) && !k.queue.over() {
		k.cut()
	}
}

func (k *socket) fail(id string, code wire.Code, message string) {
	k.send(&wire.ServerFrame{Type: "error", SubscriptionID: id, Code: code, Message: message})
}

// end sends what still waits, and closes; false when that is under way.
func (k *socket) end(code uint16, reason string) bool {
	return k.queue.last(frame{op: opClose, code: code, data: []byte(reason)})
}

// message handles what the client sent (protocol 2.4).
func (k *socket) message(data []byte, text bool) {
	if k.queue.over() {
		return // what a client says after the close is not heard
	}
	defer func() {
		if p := recover(); p != nil {
			e := k.s.engine.Panicked("a message of a socket", p)
			k.fail("protocol", e.Code, e.Message)
			k.end(closeProtocol, "internal error")
		}
	}()
	k.active()
	switch {
	case len(data) > k.s.options.MaxMessage:
		k.fail("protocol", wire.CodeMessageTooLarge, "the message is larger than the server accepts")
		return
	case !k.messages.Allow():
		k.fail("rate_limit", wire.CodeRateLimited, "too many messages; this one was dropped")
		return
	case !text && !k.speaksMsgpack():
		k.fail("protocol", wire.CodeUnsupportedData, "binary messages are not understood: the socket speaks JSON")
		return
	case !text:
		json, err := unpackMessage(data, k.s.options.MaxMessage)
		if err != nil {
			k.fail("protocol", wire.CodeUnsupportedData, err.Error())
			return
		}
		data = json
	}
	f, err := wire.DecodeClientFrame(data)
	if err != nil && f != nil {
		k.unsubscribe(f.Subscription.ID)
		k.refuseSubscription(f.Subscription.ID, err)
		return
	}
	if err != nil {
		k.fail("protocol", wire.CodeProtocol, err.Error())
		k.end(closeProtocol, "undecodable message")
		return
	}
	if f.Type == "authenticate" {
		var err error
		if f.Method != "" && f.Method != "jwt" {
			err = wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials")
		}
		k.authenticate(f.Token, f.Protocol, err)
		return
	}
	k.mu.Lock()
	who := k.who
	k.mu.Unlock()
	if who == nil {
		if f.Type == "subscribe" {
			k.fail("subscribe", wire.CodeAuthRequired, "authenticate first")
		}
		return
	}
	switch f.Type {
	case "subscribe":
		k.subscribe(who, &f.Subscription)
	case "unsubscribe":
		k.unsubscribe(f.SubscriptionID)
	case "next_batch":
		// The server sends batch after batch by itself; one that is asked for is
		// on its way.
		k.mu.Lock()
		known := k.subs[f.SubscriptionID] != nil
		k.mu.Unlock()
		if !known {
			k.fail(f.SubscriptionID, wire.CodeBatchFetchFailed, "there is no subscription of this id")
		}
	}
}

func (k *socket) speaksMsgpack() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.proto.Serialization == "msgpack"
}

func (k *socket) subscribe(who *identity.Principal, req *wire.Subscription) {
	k.unsubscribe(req.ID) // the same id replaces
	if k.full() {
		k.fail(req.ID, wire.CodeUnsupportedOption, "the connection has too many subscriptions")
		return
	}
	sub, err := k.s.hub.Subscribe(k.ctx, who, req, k)
	if err != nil {
		k.refuseSubscription(req.ID, err)
		return
	}
	k.mu.Lock()
	gone := k.gone
	if !gone {
		k.subs[req.ID] = sub
	}
	k.mu.Unlock()
	if gone {
		sub.End()
	}
}

// full reports whether the socket may have no more subscriptions. Those that
// ended by themselves are forgotten here.
func (k *socket) full() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.subs) < k.s.options.MaxSubscriptions {
		return false
	}
	maps.DeleteFunc(k.subs, func(_ string, sub *live.Subscription) bool { return sub.Ended() })
	return len(k.subs) >= k.s.options.MaxSubscriptions
}

// refuseSubscription says why there is no subscription of that id.
func (k *socket) refuseSubscription(id string, err error) {
	var e *wire.Error
	if !errors.As(err, &e) {
		e = wire.NewError(wire.CodeSubscriptionFailed, "the subscription failed")
	}
	if e.Code == wire.CodeInvalidSubscriptionID {
		id = "invalid_subscription"
	}
	k.fail(id, e.Code, e.Error())
}

func (k *socket) unsubscribe(id string) {
	k.mu.Lock()
	sub := k.subs[id]
	delete(k.subs, id)
	k.mu.Unlock()
	if sub != nil {
		sub.End()
	}
}
