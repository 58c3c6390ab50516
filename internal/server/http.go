package server

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/wire"
)

// bodyTimeout is how long the body of a request by somebody who has not signed
// in may take to come.
const bodyTimeout = 5 * time.Second

// hurry gives what has yet to come of a request a moment only. Without it
// whoever sends a body slowly holds a connection for as long as they like, also
// when nobody wants it: net/http reads it before the next request.
func hurry(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	if status >= http.StatusBadRequest {
		hurry(w)
	}
	h := w.Header()
	h["Content-Type"] = contentJSON
	if len(h["Connection"]) > 0 { // it lingers (see lingering), and the client need not wait for that
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if len(body) <= smallAnswer {
		w.Write(body)
		return
	}
	p := newPaced(w)
	if _, err := p.Write(body); err == nil {
		p.end()
	}
}

// Header values are shared, not made for each answer.
var (
	contentJSON = []string{"application/json"}
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
	noFrames    = []string{"default-src 'none'; frame-ancestors 'none'"}
	noReferrer  = []string{"no-referrer"}
	onlyHTTPS   = []string{"max-age=31536000"}

	challenge        = []string{`Bearer realm="kalamdb"`}
	challengeInvalid = []string{`Bearer realm="kalamdb", error="invalid_token"`}
)

// writeAuthError answers in the family of the auth routes (protocol 1.0.8).
func writeAuthError(w http.ResponseWriter, status int, code, message string) {
	w.Header()["Cache-Control"] = noStore
	if status == http.StatusUnauthorized && w.Header()["Www-Authenticate"] == nil {
		w.Header()["Www-Authenticate"] = challenge
	}
	writeJSON(w, status, wire.AppendAuthError(nil, &wire.AuthError{Code: code, Message: message}))
}

// writeTooLarge answers a body over the limit (protocol 1.0.2).
func writeTooLarge(w http.ResponseWriter, size, limit int64) {
	b := append([]byte(nil), `{"error":"BODY_TOO_LARGE","message":"the request body is larger than the server accepts"`...)
	if size > 0 {
		b = append(b, `,"size_bytes":`...)
		b = strconv.AppendInt(b, size, 10)
	}
	b = append(b, `,"max_bytes":`...)
	b = strconv.AppendInt(b, limit, 10)
	w.Header().Set("Connection", "close")
	writeJSON(w, http.StatusRequestEntityTooLarge, append(b, '}'))
}

var errBodyTooLarge = errors.New("body too large")

// slowestBody is how many bytes a second a body comes with at least.
const slowestBody = 4 << 10

// readBody reads a whole body of at most limit bytes into buf and counts it in
// hold. The first bytes have the time that http.Server allows, the rest as long
// as it takes at slowestBody.
func readBody(w http.ResponseWriter, r *http.Request, buf []byte, limit int64, hold *engine.Hold) ([]byte, error) {
	rc := http.NewResponseController(w)
	if n := r.ContentLength; n > int64(cap(buf)) && n <= limit {
		if err := hold.Add(int(n)); err != nil {
			return buf, err
		}
		buf = make([]byte, 0, n)
	}
	var began, extended time.Time
	for {
		if n := len(buf); n > 0 { // the first bytes were not all
			now := time.Now()
			if began.IsZero() {
				began = now
			}
			if now.Sub(extended) > time.Second {
				extended = now
				rc.SetReadDeadline(began.Add(bodyTimeout + time.Duration(n)*time.Second/slowestBody))
			}
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if r.ContentLength < 0 && err == nil {
			err = hold.Add(n)
		}
		if int64(len(buf)) > limit {
			return buf, errBodyTooLarge
		}
		if err == io.EOF {
			rc.SetReadDeadline(time.Time{})
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// isJSON reports whether the content type of a request is JSON.
func isJSON(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	if ct == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(ct)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// isLocal reports whether a request comes from this machine: from a loopback
// peer that is no proxy for somebody else, and that asked for a loopback name,
// so that no web page reaches it through a name of its own.
func isLocal(r *http.Request) bool {
	ip := net.ParseIP(peerHost(r))
	if ip == nil || !ip.IsLoopback() {
		return false
	}
	return !isProxied(r) && isLoopbackName(r.Host)
}

// isLoopbackName reports whether host[:port] names this machine.
func isLoopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
