package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// The actions that the audit log records, in system.audit_log.
const (
	auditSetup           = "SETUP"
	auditLogin           = "LOGIN"
	auditLoginFailed     = "LOGIN_FAILED"
	auditLoginThrottled  = "LOGIN_THROTTLED"
	auditRefresh         = "REFRESH"
	auditRefreshReused   = "REFRESH_REUSED"
	auditLogout          = "LOGOUT"
	auditSessionEnded    = "SESSION_ENDED"
	auditPasswordChanged = "PASSWORD_CHANGED"
	auditPasswordFailed  = "PASSWORD_CHANGE_FAILED"
	auditUserCreated     = "CREATE_USER"
	auditUserAltered     = "ALTER_USER"
	auditUserDropped     = "DROP_USER"
	auditProvisioned     = "PROVISION_USER"
	auditKeyChanged      = "KEY_CHANGED"
	auditExecuteAs       = "EXECUTE_AS_USER"
	auditExecuteAsDenied = "EXECUTE_AS_USER_DENIED"
	auditDefined         = "DEFINE_OVER_ROWS"
	auditKeyCreated      = "CREATE_API_KEY"
	auditKeyDropped      = "DROP_API_KEY"
)

// kind is what sort of event a row is about, for the bound on their number. It
// is stored.
type kind int64

const (
	kindAct         kind = iota // of an administrator or of the server: kept for its time, whatever their number
	kindSignIn                  // of somebody who has proved who they are
	kindAttempt                 // of somebody who has not, or who may not
	kindImpersonate             // a statement that ran as another user, or over the rows of others
)

var kinds = map[string]kind{
	auditLogin: kindSignIn, auditRefresh: kindSignIn, auditLogout: kindSignIn, auditSessionEnded: kindSignIn,
	auditPasswordChanged: kindSignIn, auditKeyCreated: kindSignIn, auditKeyDropped: kindSignIn,
	auditLoginFailed: kindAttempt, auditLoginThrottled: kindAttempt, auditPasswordFailed: kindAttempt,
	auditRefreshReused: kindAttempt, auditExecuteAsDenied: kindAttempt,
	auditExecuteAs: kindImpersonate, auditDefined: kindImpersonate,
}

// outcome is what became of the thing that an event is about.
type outcome string

const (
	outcomeOK         outcome = ""
	outcomeRefused    outcome = "refused"
	outcomeRolledBack outcome = "rolled back" // it happened in a transaction of which nothing is left
)

// event is a row of the audit log. A user id appears in it only when a token or
// a password has proved it or an administrator has named an existing user;
// what somebody merely typed as a name may be a password and is hashed.
type event struct {
	action  string
	outcome outcome
	actor   string // user id
	subject string // user id, when it is not the actor
	target  string // what it was done to, in words
	method  string // of authentication: password, token, oidc
	addr    string // of the client
	session string // reference of the actor's session
	details string
}

var (
	insertAudit = &store.Stmt{
		SQL: `INSERT INTO audit (at, action, outcome, actor, subject, target, method, client_addr, session, details, kind, n)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
				CASE WHEN $11 IS NOT NULL THEN coalesce((SELECT max(n) FROM audit WHERE kind = $11), 0) + 1 END`,
		Args: []wire.Type{integer, text, text, text, text, text, text, text, text, text, integer},
	}
	// Each new row takes two old ones along, so that nothing piles up and no
	// statement ever has many to delete.
	trimAudit = &store.Stmt{
		SQL:  "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT 2) AND at < $1",
		Args: []wire.Type{integer},
	}
	boundAudit = &store.Stmt{
		SQL: `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE kind = $1
			AND n <= (SELECT max(n) FROM audit WHERE kind = $1) - $2 ORDER BY n LIMIT 2)`,
		Args: []wire.Type{integer, integer},
	}
)

// What the schema keeps of the audit log, whatever is configured.
const (
	minAuditAge  = 30 * 24 * time.Hour // every row of no kind
	minAuditRows = 10_000              // of each kind
)

// write adds an event to the audit log with the commit of tx.
func (s *Service) write(tx *store.Tx, e event) error {
	if e.target == "" {
		e.target = "user:" + e.subject
		if e.subject == "" {
			e.target = "user:" + e.actor
		}
	}
	if e.outcome == outcomeOK {
		e.outcome = "ok"
	}
	now := s.now()
	if _, err := tx.Exec(trimAudit, wire.IntValue(now-s.options.AuditTTL.Microseconds())); err != nil {
		return err
	}
	number := wire.Null
	if k := kinds[e.action]; k != kindAct {
		number = wire.IntValue(int64(k))
	}
	_, err := tx.Exec(insertAudit, wire.IntValue(now), wire.TextValue(e.action), wire.TextValue(string(e.outcome)), optional(e.actor),
		optional(e.subject), wire.TextValue(e.target), optional(e.method), optional(e.addr), optional(e.session), optional(e.details), number)
	if err != nil || number.IsNull() {
		return err
	}
	gone, err := tx.Exec(boundAudit, number, wire.IntValue(int64(s.options.AuditRows)))
	if gone > 0 && s.once.first("audit is full\x00"+e.action, s.options.Now()) {
		s.options.Logger.Warn("the audit log is full of events of one kind: the oldest of them are removed before their time (auth.audit_max_rows)", "action", e.action)
	}
	return err
}

// record writes events in a transaction of their own.
func (s *Service) record(ctx context.Context, events ...event) error {
	err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, e := range events {
			if err := s.write(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.options.Logger.Error("events are missing in the audit log", "count", len(events), "first", events[0].action, "error", err)
		return fmt.Errorf("record in the audit log: %w", err)
	}
	return nil
}

// Trail is what the audit log says of one transaction.
type Trail struct {
	events []event
	known  map[event]bool
}

// add notes an event; one that says the same as another is none.
func (t *Trail) add(e event) {
	if t.known[e] {
		return
	}
	if t.known == nil {
		t.known = make(map[event]bool)
	}
	t.known[e] = true
	t.events = append(t.events, e)
}

// Write runs fn in a transaction of db, like store.Write. The trail that fn leaves
// is in the audit log when Write returns, whatever has become of the
// transaction: with its commit, or in a transaction of its own that says
// "rolled back". When not even that is possible, the error is about that alone
// and shows nothing of what fn saw.
func Write[T any](ctx context.Context, s *Service, db store.Writer, fn func(tx *store.Tx, trail *Trail) (T, error)) (T, error) {
	var trail Trail
	result, err := store.Write(ctx, db, func(tx *store.Tx) (result T, err error) {
		trail = Trail{} // also known of a transaction that fails, so it cannot be returned
		if result, err = fn(tx, &trail); err != nil {
			return result, err
		}
		for _, e := range trail.events {
			if err := s.write(tx, e); err != nil {
				return result, err
			}
		}
		return result, nil
	})
	if err == nil || len(trail.events) == 0 {
		return result, err
	}
	for i := range trail.events {
		trail.events[i].outcome = outcomeRolledBack
	}
	if lost := s.record(ctx, trail.events...); lost != nil {
		return result, lost
	}
	return result, err
}

// Write is the function Write for what has no result, in transactions of the
// server itself.
func (s *Service) Write(ctx context.Context, fn func(tx *store.Tx, trail *Trail) error) error {
	_, err := Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (struct{}, error) { return struct{}{}, fn(tx, trail) })
	return err
}

// maxPending is how many events wait to be recorded. When they are more, who
// has one waits too.
const maxPending = 1024

// recordSoon is record without waiting: for events that come in thousands when
// everybody reconnects, and that nothing depends on.
func (s *Service) recordSoon(ctx context.Context, e event) {
	select {
	case s.pending <- e:
	case <-ctx.Done():
		s.record(ctx, e)
	}
}

// recordPending writes what recordSoon was given, many in one transaction, until
// the service ends and nothing is left.
func (s *Service) recordPending(ctx context.Context) {
	for {
		var batch []event
		select {
		case e := <-s.pending:
			batch = append(batch, e)
		case <-ctx.Done():
		}
		for len(s.pending) > 0 && len(batch) < 256 {
			batch = append(batch, <-s.pending)
		}
		if len(batch) == 0 {
			return
		}
		s.record(ctx, batch...)
	}
}

// by fills in the actor of an event.
func (s *Service) by(p *Principal, addr string, e event) event {
	e.actor, e.addr, e.session, e.method = p.UserID, addr, s.refOf(p), p.method()
	return e
}

// refOf is what the session of a principal is called; a token without a session
// has a name of its own.
func (s *Service) refOf(p *Principal) string {
	switch {
	case p.SessionID != "":
		return s.ref(p.SessionID)
	case p.Scope != nil:
		return "api_key:" + p.Scope.Prefix
	case p.anchors[0] != nil:
		return s.ref(p.anchors[0].key)
	}
	return ""
}

// ref is what a session is called outside: a keyed hash of its id, which
// appears in tokens.
func (s *Service) ref(sessionID string) string { return s.keyedHash("session", sessionID) }

// named hashes a name that nobody has proved to be theirs.
func (s *Service) named(name string) string { return "unknown:" + s.keyedHash("name", name) }

func (s *Service) keyedHash(purpose, text string) string {
	h := hmac.New(sha256.New, s.refreshKey)
	h.Write([]byte("hash of a " + purpose + "\x00" + text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)[:10]))
}

type clientKey struct{}

// Client is what the edge knows of where a request comes from.
type Client struct {
	Addr string // without the port; "" for the server itself
}

// WithClient returns a context of a request that comes from c.
func WithClient(ctx context.Context, c Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// ClientOf returns the Client of WithClient, or the zero one.
func ClientOf(ctx context.Context) Client {
	c, _ := ctx.Value(clientKey{}).(Client)
	return c
}

// Impersonated notes that a statement of a transaction runs as another user. It
// is called before the statement reads anything. sql has no literals.
func (s *Service) Impersonated(trail *Trail, actor *Principal, subject, addr, sql string) {
	trail.add(s.by(actor, addr, event{action: auditExecuteAs, subject: subject, details: shorten(sql)}))
}

// Defined records a statement that changes the definition of a table in which
// others have rows, and tests or converts them.
func (s *Service) Defined(trail *Trail, actor *Principal, table, addr, sql string) {
	trail.add(s.by(actor, addr, event{action: auditDefined, target: "table:" + table, details: shorten(sql)}))
}

// ImpersonatedToRead records that a statement without a transaction runs as
// another user, and returns when that is on disk: only then may the statement
// show anything. The first of each minute, session and subject is recorded, the
// others are not worth a disk write each.
func (s *Service) ImpersonatedToRead(ctx context.Context, actor *Principal, subject, sql string) error {
	e := s.by(actor, ClientOf(ctx).Addr, event{action: auditExecuteAs, subject: subject, details: shorten(sql)})
	return s.once.do(e.action+"\x00"+e.actor+"\x00"+e.session+"\x00"+subject, s.options.Now(), func() error { return s.record(ctx, e) })
}

// ImpersonationDenied records a refused EXECUTE AS, the first of each minute,
// actor and name, and of an actor who tries many names their number.
func (s *Service) ImpersonationDenied(ctx context.Context, actor *Principal, name string) {
	e := s.by(actor, ClientOf(ctx).Addr, event{action: auditExecuteAsDenied, outcome: outcomeRefused, details: "role_not_allowed"})
	if !s.once.first(e.action+"\x00"+e.actor+"\x00"+name, s.options.Now()) {
		return
	}
	if u, err := s.readUser(ctx, name); err == nil && u != nil {
		e.subject = u.id
	} else {
		e.target = "user:" + s.named(name)
	}
	s.attempted(ctx, e, e.actor)
}

// shorten keeps a statement's text to a length worth reading.
func shorten(sql string) string {
	const most = 500
	if len(sql) <= most {
		return sql
	}
	return strings.ToValidUTF8(sql[:most], "") + " …"
}
