package client

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/wire"
)

// session knows the token to use, and gets one when there is none: it asks the
// provider, exchanges user and password, refreshes. Any number of callers that
// need a token at the same time wait for one flight; each may leave on its own
// context. No lock is held while the provider runs.
type session struct {
	c        *Client
	provider auth.Provider
	timeout  time.Duration // of one flight
	retry    ProviderRetry
	state    stateHook
	renewed  renewals
	asking   chan struct{} // holds one while the provider runs

	mu      sync.Mutex
	token   token
	bad     string    // an access token that the server rejected
	left    string    // the access token that Logout ended
	refresh string    // refresh token of the session, if it has one
	from    auth.Auth // the credentials that the session was made of
	version int       // counts the tokens, so that a late flight does not undo a login
	flight  *flight   // the running one
	primed  auth.Auth // what the provider gave ahead of the first need
}

// flight is one shared attempt to get a token.
type flight struct {
	done  chan struct{}
	token token
	err   error
}

// wait waits until the flight has ended. A flight that has ended counts even
// when ctx has too: its error, once reported, may be why the client was closed.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-f.done:
		return nil
	default:
		return ctx.Err()
	}
}

// need says what a caller needs of the session.
type need struct {
	ask      bool   // the provider must be asked, whatever we have
	rejected string // a token that the server did not accept
	stale    string // a token that is about to expire
}

// request tells the provider why it is asked.
func (n need) request() auth.Request {
	switch {
	case n.rejected != "":
		return auth.Request{Reason: auth.ReasonRejected, Rejected: n.rejected}
	case n.stale != "":
		return auth.Request{Reason: auth.ReasonExpiring}
	case n.ask:
		return auth.Request{Reason: auth.ReasonConnect}
	}
	return auth.Request{Reason: auth.ReasonFirst}
}

// get returns a token.
func (s *session) get(ctx context.Context, n need) (token, error) {
	if err := s.reentered(ctx); err != nil {
		return token{}, err
	}
	s.mu.Lock()
	now := time.Now()
	have := s.token.text != "" && s.token.text != s.bad
	if n.rejected != "" && n.rejected == s.left {
		s.mu.Unlock()
		return token{}, errLoggedOut() // what was under way then begins no new session
	}
	switch {
	case n.rejected != "" && n.rejected == s.token.text:
		s.bad, s.token.agreed = n.rejected, false
	case n.rejected != "" && have:
		n.rejected = "" // it was renewed meanwhile
	}
	if n == (need{}) && have && !past(s.token.expires, now) {
		t := s.token
		if past(t.due, now) && s.flight == nil {
			s.start(ctx, need{stale: t.text})
		}
		s.mu.Unlock()
		return t, nil
	}
	f, joined := s.flight, true
	if f == nil {
		f, joined = s.start(ctx, n), false
	}
	s.mu.Unlock()
	if f == nil {
		return token{}, ErrClosed
	}
	if err := f.wait(ctx); err != nil {
		return token{}, err
	}
	if joined && f.err == nil && n.rejected != "" && f.token.text == n.rejected {
		return s.get(ctx, n) // it had set out before we knew
	}
	return f.token, f.err
}

// accepted notes that the server has accepted a token, and reports it.
func (s *session) accepted(t token) {
	if t.agreed {
		return
	}
	s.mu.Lock()
	if s.bad == t.text {
		s.bad = ""
	}
	current, refresh := s.token.text == t.text, s.refresh
	if current {
		s.token.agreed = true
	}
	s.mu.Unlock()
	if current {
		s.state.report(t, refresh, nil)
	}
}

type reentry struct{} // context key: the session whose provider is running

// reentered refuses a call that comes out of the session's own provider, which
// would wait for itself.
func (s *session) reentered(ctx context.Context) error {
	if ctx.Value(reentry{}) == s {
		return &failure{cause: ErrReentrant, final: true}
	}
	return nil
}

// start begins a flight; nil when the client is closed. Its context is not the
// caller's: the caller may leave while others wait. The lock is held.
func (s *session) start(ctx context.Context, n need) *flight {
	f := &flight{done: make(chan struct{})}
	base, stop := context.WithTimeout(context.WithValue(context.WithoutCancel(ctx), reentry{}, s), s.timeout)
	base = auth.WithRequest(base, n.request())
	version := s.version
	if !s.c.spawn(stop, func() {
		t, err := s.resolve(base, n, version)
		s.mu.Lock()
		if err != nil && s.version != version && s.token.text != "" {
			t, err = s.token, nil // somebody logged in meanwhile
		}
		if cutOff(err) && s.c.isClosed() {
			err = ErrClosed
		}
		f.token, f.err = t, err
		s.flight = nil
		refresh := s.refresh
		s.mu.Unlock()
		close(f.done)
		if f.err != nil || f.token.agreed {
			s.state.report(f.token, refresh, f.err)
		}
	}) {
		stop()
		return nil
	}
	s.flight = f
	return f
}

// resolve asks the provider and makes a token of what it gives. When that
// fails for a passing reason, a token that the server has not rejected is good
// enough.
func (s *session) resolve(ctx context.Context, n need, version int) (token, error) {
	t, err := s.fetch(ctx, n, version)
	if err == nil {
		return t, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if isFinal(err) {
		s.token.due = time.Time{} // no more of this in the background
		return token{}, err
	}
	if s.token.text != "" && s.token.text != s.bad {
		s.token.postpone(time.Now())
		return s.token, nil
	}
	return token{}, err
}

func (s *session) fetch(ctx context.Context, n need, version int) (token, error) {
	cred, err := s.ask(ctx)
	if err != nil {
		return token{}, err
	}
	switch {
	case auth.IsJWT(cred):
		return s.adopt(version, newToken(cred.Reveal(), time.Now(), false), "", cred), nil
	case auth.IsBasic(cred):
		return s.exchange(ctx, n, version, cred)
	}
	if t, done, err := s.renew(ctx, n, version, auth.Auth{}); done || err != nil {
		return t, err
	}
	return token{}, &failure{text: "the provider gave no credentials", classes: []error{ErrLoginRequired, ErrUnauthenticated}, final: true}
}

// exchange makes a token of user and password, at the lowest price: the token
// of the session that they began, its refresh token, a login.
func (s *session) exchange(ctx context.Context, n need, version int, cred auth.Auth) (token, error) {
	if t, done, err := s.renew(ctx, n, version, cred); done {
		return t, err
	}
	l, err := s.c.postLogin(ctx, cred)
	if err != nil {
		return token{}, err
	}
	s.renewed.begin(l.RefreshToken)
	return s.adopt(version, newToken(l.AccessToken, time.Now(), true), l.RefreshToken, cred), nil
}

// renew makes a token of the session that cred began; the zero Auth stands for
// one that the client began by itself, as with Accounts. It is not done when
// there is no such session, or when the server refuses to renew it: err says
// that.
func (s *session) renew(ctx context.Context, n need, version int, cred auth.Auth) (t token, done bool, err error) {
	s.mu.Lock()
	same := s.from.Equal(cred)
	t, refresh := s.token, s.refresh
	good := same && t.text != "" && t.text != s.bad && t.text != n.stale && !past(t.due, time.Now())
	s.mu.Unlock()
	if good {
		return t, true, nil
	}
	if !same || refresh == "" {
		return token{}, false, nil
	}
	l, err := s.c.postRefresh(ctx, refresh)
	if err == nil {
		return s.adopt(version, newToken(l.AccessToken, time.Now(), true), l.RefreshToken, cred), true, nil
	}
	if !isFinal(err) {
		return token{}, true, err // not refused: it is still ours
	}
	s.mu.Lock()
	if s.refresh == refresh {
		s.refresh = ""
	}
	s.mu.Unlock()
	return token{}, false, err
}

// adopt makes t the token of the session, unless another one came in since
// version, which then wins.
func (s *session) adopt(version int, t token, refresh string, from auth.Auth) token {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != version && s.token.text != "" {
		return s.token
	}
	if now := time.Now(); t.text == s.token.text && past(t.due, now) {
		t.postpone(now) // the provider has nothing newer
	}
	t.agreed = t.agreed || t.text == s.token.text && s.token.agreed
	s.token, s.refresh, s.from = t, refresh, from
	s.version++
	if s.bad != t.text {
		s.bad = ""
	}
	return t
}

// set makes t the token of the session whatever else is going on.
func (s *session) set(t token, refresh string, from auth.Auth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.refresh, s.bad = t, refresh, ""
	if auth.IsAuthenticated(from) {
		s.from = from
	}
	s.version++
}

// begin makes a session the one to use that the client began by itself, and not
// with credentials of the provider.
func (s *session) begin(l *wire.LoginResponse) {
	s.renewed.begin(l.RefreshToken)
	s.set(newToken(l.AccessToken, time.Now(), true), l.RefreshToken, auth.Auth{})
	s.mu.Lock()
	s.from = auth.Auth{}
	s.mu.Unlock()
}

// settle waits until no flight is under way.
func (s *session) settle(ctx context.Context) error {
	s.mu.Lock()
	f := s.flight
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.wait(ctx)
}

// forget forgets the session and everything that could renew it.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = s.token.text
	s.token, s.refresh, s.bad, s.from, s.primed = token{}, "", "", auth.Auth{}, auth.Auth{}
	s.version++
}

// prime asks the provider ahead of the first need, which then takes the answer.
func (s *session) prime(ctx context.Context) (auth.Auth, error) {
	ctx = auth.WithRequest(context.WithValue(ctx, reentry{}, s), auth.Request{Reason: auth.ReasonFirst})
	cred, err := s.ask(ctx)
	if err == nil {
		s.mu.Lock()
		s.primed = cred
		s.mu.Unlock()
	}
	return cred, err
}

// ask calls the provider: a few times, each bounded in time, a panic taken for a
// failure.
func (s *session) ask(ctx context.Context) (auth.Auth, error) {
	if auth.RequestOf(ctx).Reason == "" {
		ctx = auth.WithRequest(ctx, auth.Request{Reason: auth.ReasonFirst}) // an explicit login
	}
	s.mu.Lock()
	cred := s.primed
	s.primed = auth.Auth{}
	s.mu.Unlock()
	if auth.IsAuthenticated(cred) {
		return cred, nil
	}
	wait := backoff{first: orDefault(s.retry.First, 250*time.Millisecond), most: orDefault(s.retry.Max, 2*time.Second)}
	for {
		cred, err := s.askOnce(ctx)
		if err == nil {
			return cred, nil
		}
		if auth.IsPermanent(err) || isFinal(err) {
			return auth.Auth{}, &failure{text: "the provider refused", cause: err, classes: []error{ErrLoginRequired, ErrUnauthenticated, ErrProvider}, final: true}
		}
		err = &failure{text: "ask the provider", cause: err, classes: []error{ErrUnavailable, ErrProvider}}
		pause := wait.next()
		if after, ok := auth.RetryAfterOf(err); ok {
			pause += after // what the provider asks for, with our jitter
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
			return auth.Auth{}, err
		}
		if wait.attempts >= orDefault(s.retry.Attempts, 3) || sleep(ctx, pause) != nil {
			return auth.Auth{}, err
		}
	}
}

// askOnce runs the provider in a goroutine of its own, which outlives us if
// the provider does not obey its context. One call runs at a time: a provider
// that calls its own client with another context waits for itself, and fails in
// time, instead of being called for ever. A call that is long overdue no longer
// counts.
func (s *session) askOnce(ctx context.Context) (auth.Auth, error) {
	ctx, stop := context.WithTimeout(ctx, s.timeout/3)
	defer stop()
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return auth.Auth{}, unanswered(ctx)
	}
	type answer struct {
		cred auth.Auth
		err  error
	}
	answers := make(chan answer, 1)
	release := sync.OnceFunc(func() { <-s.asking })
	overdue := time.AfterFunc(2*s.timeout, release)
	go func() {
		a := answer{err: errors.New("the provider panicked")}
		defer func() {
			recover() // what it says may hold a secret
			overdue.Stop()
			release()
			answers <- a
		}()
		cred, err := s.provider.Auth(ctx)
		a = answer{cred, err}
	}()
	select {
	case a := <-answers:
		return a.cred, a.err
	case <-ctx.Done():
		return auth.Auth{}, unanswered(ctx)
	}
}

// unanswered is why a provider that has not answered is waited for no longer.
func unanswered(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure{text: ErrProviderTimeout.Error(), cause: ctx.Err(), classes: []error{ErrProviderTimeout}}
	}
	return ctx.Err()
}

// postLogin exchanges user and password for a session.
func (c *Client) postLogin(ctx context.Context, cred auth.Auth) (*wire.LoginResponse, error) {
	body := wire.AppendLoginRequest(nil, &wire.LoginRequest{User: cred.User(), Password: cred.Reveal()})
	return c.postAuth(ctx, &request{Method: "POST", URL: c.endpoint.http + "/v1/api/auth/login", Body: body})
}

// postRefresh exchanges a refresh token, or the one that has replaced it, for
// the next pair.
func (c *Client) postRefresh(ctx context.Context, refresh string) (*wire.LoginResponse, error) {
	refresh = c.session.renewed.newest(refresh)
	l, err := c.postAuth(ctx, &request{Method: "POST", URL: c.endpoint.http + "/v1/api/auth/refresh", Token: refresh})
	if err == nil {
		c.session.renewed.replace(refresh, l.RefreshToken)
	}
	return l, err
}

// postAuth does a request of an auth route. What is not an answer of a KalamDB
// server, as the page of a captive portal, counts as no answer.
func (c *Client) postAuth(ctx context.Context, r *request) (*wire.LoginResponse, error) {
	if err := c.mayTravel(); err != nil {
		return nil, err
	}
	wait := backoff{first: 250 * time.Millisecond, most: 2 * time.Second}
	for {
		l, after, err := c.tryAuth(ctx, r)
		if err == nil || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrRateLimited) {
			return l, err
		}
		if wait.attempts == 2 {
			return nil, err
		}
		pause := wait.next()
		if after > 0 {
			pause += after // what the server asked for, with our jitter
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
			return nil, err
		}
		if sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

func (c *Client) tryAuth(ctx context.Context, r *request) (*wire.LoginResponse, time.Duration, error) {
	resp, err := c.transport.Do(ctx, r)
	if err != nil {
		return nil, 0, c.noAnswer(err)
	}
	if resp.Status == 200 {
		l, err := wire.DecodeLoginResponse(resp.Body)
		if err != nil || l.AccessToken == "" {
			return nil, 0, c.notOurs(resp.Status)
		}
		return l, 0, nil
	}
	e := &wire.Error{Code: wire.CodeUnavailable, Message: "the server answered with status " + itoa(resp.Status)}
	known := false
	if a := wire.DecodeAuthError(resp.Body); a != nil {
		known = true
		e.Code, e.Message = wire.Code(strings.ToUpper(a.Code)), a.Message
		if resp.Status == 401 {
			e.Code = wire.CodeInvalidCredentials
		}
	}
	if resp.Status == 429 {
		e.Code = wire.CodeRateLimited
	}
	switch {
	case known && (resp.Status == 404 || resp.Status == 405), !known && resp.Status != 401 && resp.Status != 403 && resp.Status != 429:
		return nil, resp.RetryAfter, c.strangeAnswer(resp)
	case resp.Status >= 500:
		return nil, resp.RetryAfter, unavailable("", e)
	}
	err = classify(resp.Status, e)
	f := &failure{cause: err, final: resp.Status != 429}
	if resp.Status == 401 {
		f.classes = []error{ErrLoginRequired}
	}
	return nil, resp.RetryAfter, f
}

// mayTravel refuses to send a secret in the clear over a network.
func (c *Client) mayTravel() error {
	if c.endpoint.safe || c.insecure {
		return nil
	}
	return &failure{cause: ErrInsecureTransport, final: true}
}
