package client

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/auth"
)

// The socket comes and goes with the live queries. What is here is for
// applications that want to say so themselves.

// ReconnectPolicy is how a lost socket is connected again.
type ReconnectPolicy struct {
	// Off keeps a lost socket down until Connect or a new live query; the live
	// queries wait for that and then resume.
	Off bool

	// FirstDelay and MaxDelay are the limits of the random time before an
	// attempt: the first one, doubled with each failure up to the second.
	// Default: 250 ms and 30 s.
	FirstDelay, MaxDelay time.Duration

	// MaxAttempts is after how many failures in a row to stop, as with Off; 0:
	// never.
	MaxAttempts int
}

// SetReconnect changes how a lost socket is connected again.
func (c *Client) SetReconnect(p ReconnectPolicy) {
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	c.socket.policy = p
	c.socket.poke()
}

// Connect opens the socket now, and keeps it open without live queries until
// Disconnect. It returns when the server has accepted the sign-in; when that
// fails for a passing reason the attempts go on in the background.
func (c *Client) Connect(ctx context.Context) error {
	if err := c.session.reentered(ctx); err != nil {
		return err
	}
	if err := c.mayTravel(); err != nil {
		return err
	}
	return c.during(ctx, 0, func(ctx context.Context) error {
		outcome, err := c.socket.hold()
		if err != nil || outcome == nil {
			return err
		}
		select {
		case err := <-outcome:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Disconnect ends all live queries with ErrDisconnected and closes the socket.
// The client may be used again.
func (c *Client) Disconnect() {
	c.socket.letGo()
	c.socket.endAll(ErrDisconnected)
}

// Wake looks at the clock again: call it when the machine or the page has
// slept, or the network has changed. A session that is due is renewed, a socket
// that is down is connected without waiting, and one that is up must show that
// it is.
func (c *Client) Wake() {
	ctx, stop := context.WithTimeout(context.Background(), c.session.timeout)
	if !c.spawn(stop, func() {
		if c.session.current().text != "" {
			c.session.get(ctx, need{})
		}
		c.socket.mu.Lock()
		c.socket.eager, c.socket.renew, c.socket.probe = true, true, true
		c.socket.mu.Unlock()
		c.socket.poke()
	}) {
		stop()
	}
}

// Prime asks the provider now; the first call that needs credentials takes the
// answer. It sends nothing to the server.
func (c *Client) Prime(ctx context.Context) (auth.Auth, error) {
	if err := c.session.reentered(ctx); err != nil {
		return auth.Auth{}, err
	}
	var cred auth.Auth
	err := c.during(ctx, c.session.timeout, func(ctx context.Context) (err error) {
		cred, err = c.session.prime(ctx)
		return err
	})
	return cred, err
}

// AccessToken returns a token for requests that the client does not do itself,
// as those of an application to its own services. When the last one was not
// accepted, give it as rejected.
func (c *Client) AccessToken(ctx context.Context, rejected string) (string, error) {
	if err := c.mayTravel(); err != nil {
		return "", err
	}
	var t token
	err := c.during(ctx, 0, func(ctx context.Context) (err error) {
		t, err = c.session.get(ctx, need{rejected: rejected})
		return err
	})
	return t.text, err
}

// current returns the token of the session, if it has one.
func (s *session) current() token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// pair is the token of the session and its refresh token, "" for none.
func (s *session) pair() (token, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.refresh
}

// hold keeps the socket connected. It gives nil when it is already, else a
// channel for the outcome of the next attempt.
func (s *socket) hold() (<-chan error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		return nil, err
	}
	s.held, s.leaving, s.failed = true, false, 0
	if s.live {
		return nil, nil
	}
	outcome := make(chan error, 1)
	s.waiters = append(s.waiters, outcome)
	s.eager = true
	s.poke()
	return outcome, nil
}

// letGo undoes hold.
func (s *socket) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.leaving = false, true
	s.poke()
}

// idle reports whether nothing needs the connection, and whether it shall go at
// once.
func (s *socket) idle() (idle, leave bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle = len(s.subs) == 0 && !s.held
	leave = idle && s.leaving
	s.leaving = false
	return idle, leave
}

// outcome tells those who wait how an attempt to connect went.
func (s *socket) outcome(connected bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live = connected; connected {
		s.failed = 0
	}
	for _, w := range s.waiters {
		w <- err
	}
	s.waiters = nil
}

// lost notes that there is no connection.
func (s *socket) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = false
	s.failed++
}

// plan gives the time until the next attempt, or false to make none.
func (s *socket) plan(wait *backoff) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.policy
	wait.first, wait.most = orDefault(p.FirstDelay, 250*time.Millisecond), orDefault(p.MaxDelay, 30*time.Second)
	return wait.next(), !p.Off && (p.MaxAttempts <= 0 || s.failed <= p.MaxAttempts)
}

// rest waits without an attempt until somebody wants the connection.
func (s *socket) rest(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.mu.Lock()
		stop := s.eager || len(s.subs) == 0 && !s.held || !s.policy.Off && s.policy.MaxAttempts == 0
		s.eager = false
		s.mu.Unlock()
		if stop {
			return
		}
	}
}
