package client

import (
	"errors"
	"sync"
)

// AuthState is how a session stands.
type AuthState string

// The states of a session.
const (
	StateSignedIn  AuthState = "signed-in"  // there is a token, and the server has accepted it
	StateOffline   AuthState = "offline"    // no new token can be had now; what there is stays
	StateSignedOut AuthState = "signed-out" // the server or the provider refused for good
)

// AuthEvent reports that a session has another state or another token.
type AuthEvent struct {
	State AuthState
	User  string // the subject of the token, if it says one
	Err   error  // why the session is offline or signed out

	refresh *string // a pointer, so that printing an event shows no secret
}

// String returns the event as text, for logs: the state, the user and the error.
func (e AuthEvent) String() string {
	text := string(e.State)
	if e.User != "" {
		text += " " + e.User
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// RefreshToken returns the refresh token of the session, which has replaced all
// earlier ones: the one to keep for RefreshToken of another client. It is "" for
// a session without one.
func (e AuthEvent) RefreshToken() string {
	if e.refresh == nil {
		return ""
	}
	return *e.refresh
}

// stateHook tells the application about the session. Events come one at a time
// and in order; no lock of the client is held.
type stateHook struct {
	fn func(AuthEvent)

	mu      sync.Mutex // guards what follows
	last    AuthState
	token   string
	waiting []AuthEvent
	running bool
}

// report notes how the session stands after an attempt to get a token, or to use it.
func (h *stateHook) report(t token, refresh string, err error) {
	if h.fn == nil || errors.Is(err, ErrClosed) {
		return
	}
	e := AuthEvent{State: StateSignedIn, User: t.subject, Err: err, refresh: &refresh}
	if err != nil {
		if e.State = StateOffline; isFinal(err) || errors.Is(err, ErrUnauthenticated) {
			e.State = StateSignedOut
		}
	}
	h.mu.Lock()
	if e.State == h.last && t.text == h.token {
		h.mu.Unlock()
		return
	}
	h.last, h.token = e.State, t.text
	h.waiting = append(h.waiting, e)
	if h.running {
		h.mu.Unlock()
		return
	}
	h.running = true
	h.mu.Unlock()
	go h.tell() // nothing waits for it, so it may close the client
}

// tell calls the application with what waits, and ends.
func (h *stateHook) tell() {
	for {
		h.mu.Lock()
		if len(h.waiting) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		e := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.mu.Unlock()
		h.fn(e)
	}
}
