package server

import (
	"errors"
	"math"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/wire"
)

// authenticate handles a token that came with the upgrade or in a message
// (protocol 2.2 and 2.13). failed is set when it is already known to be bad.
func (k *socket) authenticate(token string, proto wire.Protocol, failed error) {
	k.mu.Lock()
	before, renew := k.who, k.proto.Renew
	if !k.tried && k.timer != nil {
		k.timer.Stop()
	}
	k.tried = true
	k.mu.Unlock()
	if before != nil && !renew {
		k.welcome()
		return
	}
	if k.s.socketSignIns.exhausted(k.network) {
		k.refuse("RATE_LIMITED", "Too many authentication attempts; wait a second")
		return
	}
	who, err := (*identity.Principal)(nil), failed
	if err == nil {
		who, err = k.s.users.Verify(k.ctx, token)
	}
	if err != nil {
		k.s.socketSignIns.allow(k.network) // failures count, so that guessing is slow
		k.refuse(authCode(err), "Invalid credentials")
		return
	}
	if before != nil && !before.Same(who) {
		k.refuse(wire.CodeIdentityChanged, "the token belongs to another user or API key; open a new socket for it")
		return
	}
	if !k.isKnown(who.UserID) {
		k.refuse(wire.CodeRateLimited, "you have as many sockets as the server has for one user now; close others first")
		return
	}
	k.mu.Lock()
	if k.gone {
		k.mu.Unlock()
		return
	}
	k.who = who
	if before == nil {
		k.queue.countFor(k.s.engine.Memory().Hold(who.UserID))
		k.proto = wire.Protocol{Serialization: "json", Compression: "gzip", Renew: proto.Renew}
		if proto.Serialization == "msgpack" {
			k.proto.Serialization = "msgpack"
			k.form |= msgpackForm
		}
		if proto.Compression == "none" {
			k.proto.Compression = "none"
			k.form &^= gzipForm
		}
	}
	k.watchExpiry()
	k.mu.Unlock()
	k.conn.trust()
	k.welcome()
}

func authCode(err error) wire.Code {
	var e *wire.Error
	if errors.As(err, &e) && (e.Code == wire.CodeTokenExpired || e.Code == wire.CodeUnavailable) {
		return e.Code
	}
	return wire.CodeInvalidCredentials
}

// welcome says who the socket belongs to.
func (k *socket) welcome() {
	k.mu.Lock()
	if k.gone {
		k.mu.Unlock()
		return
	}
	f := &wire.ServerFrame{Type: "auth_success", User: k.who.UserID, Role: k.who.Role, Protocol: k.proto, ExpiresIn: -1}
	if !k.who.ExpiresAt.IsZero() {
		f.ExpiresIn = secondsUntil(k.who.ExpiresAt)
	}
	k.mu.Unlock()
	k.send(f)
}

func secondsUntil(t time.Time) int64 {
	return int64(math.Max(0, math.Ceil(time.Until(t).Seconds())))
}

// refuse drops what waits, says why, and closes; the first to call it is heard.
func (k *socket) refuse(code wire.Code, message string) {
	k.mu.Lock()
	if k.gone {
		k.mu.Unlock()
		return
	}
	k.who = nil
	subs := k.subs
	k.subs = nil
	k.gone = true
	k.mu.Unlock()
	for _, sub := range subs {
		sub.End()
	}
	k.queue.clear()
	said := wire.AppendServerFrame(nil, &wire.ServerFrame{Type: "auth_error", Code: code, Message: message})
	k.queue.last(frame{msg: &live.Frame{JSON: said}, plain: true})
	k.end(closePolicy, string(code))
}

func (k *socket) authTimeout() {
	k.mu.Lock()
	late := !k.tried
	k.mu.Unlock()
	if late {
		k.refuse(wire.CodeAuthTimeout, "Authentication timeout: no authenticate message came in time")
	}
}

// watchExpiry sets the timer for the end of the token. The caller holds mu.
func (k *socket) watchExpiry() {
	if k.timer != nil {
		k.timer.Stop()
	}
	if k.who.ExpiresAt.IsZero() {
		return
	}
	left := time.Until(k.who.ExpiresAt)
	if k.proto.Renew {
		k.timer = time.AfterFunc(left-min(left/5, time.Minute), k.expiring)
		return
	}
	k.timer = time.AfterFunc(left+k.s.options.TokenGrace, k.expired)
}

// expiring asks the client for a new token.
func (k *socket) expiring() {
	k.mu.Lock()
	if k.gone || k.who == nil {
		k.mu.Unlock()
		return
	}
	f := &wire.ServerFrame{Type: "auth_expiring", ExpiresIn: secondsUntil(k.who.ExpiresAt)}
	k.timer = time.AfterFunc(time.Until(k.who.ExpiresAt)+k.s.options.TokenGrace, k.expired)
	k.mu.Unlock()
	k.send(f)
}

func (k *socket) expired() {
	k.mu.Lock()
	over := k.who != nil && time.Since(k.who.ExpiresAt) >= 0
	k.mu.Unlock()
	if over {
		k.refuse(wire.CodeTokenExpired, "the token has expired")
	}
}

// checkSession closes the socket when its session has ended.
func (k *socket) checkSession() {
	k.mu.Lock()
	ended := k.who != nil && k.s.users.Revoked(k.who)
	k.mu.Unlock()
	if ended {
		k.refuse(wire.CodeSessionEnded, "the session has ended")
	}
}
