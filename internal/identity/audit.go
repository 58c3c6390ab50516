package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
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
)

// event is a row of the audit log. A user id appears in it only when a token or
// a password has proved it or an administrator has named an existing user;
// what somebody merely typed as a name may be a password and is hashed.
type event struct {
	action  string
	refused bool
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
		SQL: `INSERT INTO audit (at, action, outcome, actor, subject, target, method, client_addr, session, details)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`,
		Args: []wire.Type{integer, text, text, text, text, text, text, text, text, text},
	}
	// Each new row takes two old ones along, so that nothing piles up and no
	// statement ever has many to delete.
	trimAudit = &store.Stmt{
		SQL:  "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT 2) AND at < ?1",
		Args: []wire.Type{integer},
	}
)

// minAuditAge is how long the schema keeps every row.
const minAuditAge = 30 * 24 * time.Hour

// audit records an event with the commit of tx.
func (s *Service) audit(tx *store.Tx, e event) error {
	outcome := "ok"
	if e.refused {
		outcome = "refused"
	}
	if e.target == "" {
		e.target = "user:" + e.subject
		if e.subject == "" {
			e.target = "user:" + e.actor
		}
	}
	now := s.now()
	if _, err := tx.Exec(trimAudit, wire.IntValue(now-s.options.AuditTTL.Microseconds())); err != nil {
		return err
	}
	_, err := tx.Exec(insertAudit, wire.IntValue(now), wire.TextValue(e.action), wire.TextValue(outcome), optional(e.actor),
		optional(e.subject), wire.TextValue(e.target), optional(e.method), optional(e.addr), optional(e.session), optional(e.details))
	return err
}

// record is audit in a transaction of its own, for what changes nothing else.
// What it is about goes on without it: a refusal stays one when the disk is
// full.
func (s *Service) record(ctx context.Context, e event) {
	err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return s.audit(tx, e) })
	if err != nil {
		s.options.Logger.Error("an event is missing in the audit log", "action", e.action, "error", err)
	}
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
		err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			for _, e := range batch {
				if err := s.audit(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.options.Logger.Error("events are missing in the audit log", "count", len(batch), "error", err)
		}
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

// WithClient gives a context the address of the client that a request comes
// from, for the audit log.
func WithClient(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, clientKey{}, addr)
}

// ClientOf is the address that WithClient has set, or "".
func ClientOf(ctx context.Context) string {
	addr, _ := ctx.Value(clientKey{}).(string)
	return addr
}

// Impersonated records with the commit of tx that a statement ran as another
// user. sql has no literals.
func (s *Service) Impersonated(tx *store.Tx, actor *Principal, subject, addr, sql string) error {
	return s.audit(tx, s.by(actor, addr, event{action: auditExecuteAs, subject: subject, details: shorten(sql)}))
}

// ImpersonatedToRead is Impersonated for a statement that changes nothing and
// so has no transaction to be recorded in: the first of each minute, session and
// subject is recorded, the others are not worth a disk write each.
func (s *Service) ImpersonatedToRead(ctx context.Context, actor *Principal, subject, sql string) {
	e := s.by(actor, ClientOf(ctx), event{action: auditExecuteAs, subject: subject, details: shorten(sql)})
	if s.once.first(e.action+"\x00"+e.actor+"\x00"+e.session+"\x00"+subject, s.options.Now()) {
		s.record(ctx, e)
	}
}

// ImpersonationDenied records a refused EXECUTE AS, the first of each minute,
// actor and name.
func (s *Service) ImpersonationDenied(ctx context.Context, actor *Principal, name string) {
	e := s.by(actor, ClientOf(ctx), event{action: auditExecuteAsDenied, refused: true, details: "role_not_allowed"})
	if !s.once.first(e.action+"\x00"+e.actor+"\x00"+name, s.options.Now()) {
		return
	}
	if u, err := s.readUser(ctx, name); err == nil && u != nil {
		e.subject = u.id
	} else {
		e.target = "user:" + s.named(name)
	}
	s.record(ctx, e)
}

// shorten keeps a statement's text to a length worth reading.
func shorten(sql string) string {
	const most = 500
	if len(sql) <= most {
		return sql
	}
	return strings.ToValidUTF8(sql[:most], "") + " …"
}
