package identity

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/kalamdb/kalam-go/internal/redact"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// How a user proves who they are.
const (
	AuthPassword = "password"
	AuthOIDC     = "oidc"
	AuthInternal = "internal"
)

const (
	maxNameBytes  = 128
	maxEmailBytes = 320
)

// User is a stored user. Email is "" for none; LastLoginAt is zero before the
// first login.
type User struct {
	ID          string
	Role        string
	Email       string
	Verified    bool   // the owner of the account has proved that Email is theirs
	Name        string // for people, "" for none
	AuthType    string
	Disabled    bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastLoginAt time.Time
}

// userRow is a row of the table users. Times are microseconds since 1970.
type userRow struct {
	redact.Redacted
	id, passwordHash, role, email string
	name, authType, authData      string
	verified                      bool // email
	disabled                      bool
	epoch                         int64 // tokens without a session that were issued before are refused
	createdAt, updatedAt          int64
	lastLoginAt, deletedAt        int64 // 0: never
	erase                         bool  // a dropped user whose rows are to go
	erasedAt                      int64 // when they were gone; 0: not yet
}

// active reports whether the user may act at all.
func (u *userRow) active() bool { return u != nil && u.deletedAt == 0 && !u.disabled }

func (u *userRow) user() *User {
	out := &User{
		ID: u.id, Role: u.role, Email: u.email, Verified: u.verified, Name: u.name, AuthType: u.authType, Disabled: u.disabled,
		CreatedAt: fromMicros(u.createdAt), UpdatedAt: fromMicros(max(u.updatedAt, u.createdAt)),
	}
	if u.lastLoginAt != 0 {
		out.LastLoginAt = fromMicros(u.lastLoginAt)
	}
	return out
}

func fromMicros(t int64) time.Time { return time.UnixMicro(t).UTC() }

var (
	selectUser = &store.Stmt{
		SQL: `SELECT password_hash, role, email, auth_type, auth_data, disabled, epoch, created_at, updated_at, last_login_at, deleted_at,
			erased_at, name, email_verified FROM users WHERE user_id = $1`,
		Args: []wire.Type{text},
		Cols: []wire.Type{text, text, text, text, text, integer, integer, integer, integer, integer, integer, integer, text, integer},
	}
	selectUserByAuthData = &store.Stmt{
		SQL:  "SELECT user_id FROM users WHERE auth_type = 'oidc' AND auth_data = $1",
		Args: []wire.Type{text}, Cols: []wire.Type{text},
	}
	insertUser = &store.Stmt{
		SQL: `INSERT INTO users (user_id, password_hash, role, email, auth_type, auth_data, created_at, updated_at, epoch)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)`,
		Args: []wire.Type{text, text, text, text, text, text, integer, integer},
	}
	updatePassword = updateUser("password_hash", text)
	updateRole     = updateUser("role", text)
	updateEmail    = &store.Stmt{
		SQL:  "UPDATE users SET email = $2, email_verified = $3, updated_at = $4 WHERE user_id = $1",
		Args: []wire.Type{text, text, integer, integer},
	}
	updateName     = updateUser("name", text)
	updateAuthType = updateUser("auth_type", text)
	updateDisabled = updateUser("disabled", integer)
	updateEpoch    = updateUser("epoch", integer)
	forgetUser     = &store.Stmt{SQL: "DELETE FROM users WHERE user_id = $1", Args: []wire.Type{text}}
	dropUser       = &store.Stmt{
		SQL:  "UPDATE users SET deleted_at = $2, updated_at = $2, password_hash = '' WHERE user_id = $1",
		Args: []wire.Type{text, integer},
	}
)

// updateUser makes the statement (user, value, time) that sets one column.
func updateUser(column string, t wire.Type) *store.Stmt {
	return &store.Stmt{
		SQL:  "UPDATE users SET " + column + " = $2, updated_at = $3 WHERE user_id = $1",
		Args: []wire.Type{text, t, integer},
	}
}

// findUser returns the row of a user, dropped ones included, nil if there is
// none.
func findUser(tx *store.Tx, id string) (*userRow, error) {
	var u *userRow
	err := tx.Query(selectUser, []wire.Value{wire.TextValue(id)}, func(row []wire.Value) error {
		u = &userRow{
			id: id, passwordHash: row[0].Text(), role: row[1].Text(), email: row[2].Text(), authType: row[3].Text(),
			authData: row[4].Text(), disabled: row[5].Int() != 0, epoch: row[6].Int(), createdAt: row[7].Int(),
			updatedAt: row[8].Int(), lastLoginAt: row[9].Int(), deletedAt: row[10].Int(), erase: !row[11].IsNull(), erasedAt: row[11].Int(),
			name: row[12].Text(), verified: row[13].Int() != 0,
		}
		return nil
	})
	return u, err
}

func (s *Service) readUser(ctx context.Context, id string) (u *userRow, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		u, err = findUser(tx, id)
		return err
	})
	return u, err
}

func insertUserRow(tx *store.Tx, u *userRow) error {
	_, err := tx.Exec(insertUser, wire.TextValue(u.id), wire.TextValue(u.passwordHash), wire.TextValue(u.role),
		optional(u.email), wire.TextValue(u.authType), optional(u.authData), wire.IntValue(u.createdAt), wire.IntValue(u.epoch))
	return err
}

func errUserNotFound(id string) error {
	return wire.NewError(wire.CodeUserNotFound, "user '", id, "' does not exist")
}

func errNoPassword(id string) error {
	return wire.NewError(wire.CodeInvalidInput, "user '", id, "' signs in with another issuer and has no password here")
}

func errDenied(text ...string) error { return wire.NewError(wire.CodePermissionDenied, text...) }

// User returns a user that is not dropped, or USER_NOT_FOUND.
func (s *Service) User(ctx context.Context, id string) (*User, error) {
	u, err := s.readUser(ctx, id)
	if err != nil {
		return nil, err
	}
	if u == nil || u.deletedAt != 0 {
		return nil, errUserNotFound(id)
	}
	return u.user(), nil
}

// MayActAs reports whether actor may run a statement as the user of that name.
// Nobody acts as a user who is not there, or who may not act themselves.
func (s *Service) MayActAs(ctx context.Context, actor *Principal, name string) (may bool) {
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		may, err = MayActAs(tx, actor, name)
		return err
	})
	return may && err == nil
}

// MayActAs is Service.MayActAs inside a transaction.
func MayActAs(tx *store.Tx, actor *Principal, name string) (bool, error) {
	u, err := findUser(tx, name)
	return err == nil && u.active() && MayImpersonate(actor.Role, u.role), err
}

// RoleOf returns the role of a user that is not dropped, or USER_NOT_FOUND.
func RoleOf(tx *store.Tx, id string) (string, error) {
	u, err := findUser(tx, id)
	if err != nil {
		return "", err
	}
	if u == nil || u.deletedAt != 0 {
		return "", errUserNotFound(id)
	}
	return u.role, nil
}

// NewUser is a user to create, as the statement has it.
type NewUser struct {
	redact.Redacted

	Name   string
	Auth   string // PASSWORD, OIDC or INTERNAL
	Secret string // the password; or {"issuer":...,"subject":...}
	Role   string // any word of ParseRole; "" is user
	Email  string // "" for none
}

// PreparedUser is a user that may be created: checked, with the password
// hashed.
type PreparedUser struct {
	redact.Redacted
	actor Principal
	row   userRow
	event event
}

// PrepareUser checks a user that actor wants to create and hashes the password,
// which takes a while: call it before the transaction.
func (s *Service) PrepareUser(ctx context.Context, actor *Principal, n NewUser) (*PreparedUser, error) {
	u := userRow{email: n.Email, role: RoleUser}
	if n.Role != "" {
		role, ok := ParseRole(n.Role)
		if !ok {
			return nil, wire.NewError(wire.CodeInvalidInput, "unknown role '", n.Role, "'")
		}
		u.role = role
	}
	if err := authorise(actor, u.role, "create"); err != nil {
		return nil, err
	}
	if err := checkEmail(u.email); err != nil {
		return nil, err
	}
	auth := strings.ToLower(n.Auth)
	name, err := checkName(n.Name)
	if err == nil && auth != AuthOIDC {
		name, err = localName(n.Name)
	}
	if err != nil {
		return nil, err
	}
	u.id, u.authType = name, auth
	switch auth {
	case AuthPassword:
		if err := s.checkPassword(n.Secret, u.id, u.email); err != nil {
			return nil, err
		}
		u.passwordHash, err = s.hasher.Hash(ctx, n.Secret)
	case AuthOIDC:
		u.authData, err = parseAuthData(n.Secret)
	case AuthInternal:
	default:
		err = wire.NewError(wire.CodeInvalidInput, "unknown authentication '", n.Auth, "'")
	}
	if err != nil {
		return nil, err
	}
	made := event{action: auditUserCreated, subject: u.id, details: "Role: " + u.role + ", " + u.authType}
	return &PreparedUser{actor: *actor, row: u, event: s.by(actor, ClientOf(ctx).Addr, made)}, nil
}

// CreateUser creates a prepared user in the caller's transaction, or fails with
// ALREADY_EXISTS. The name of a dropped user stays taken as long as their rows
// may be there. Tokens of a former user of that name are not good for the new one.
func (s *Service) CreateUser(tx *store.Tx, trail *Trail, p *PreparedUser) error {
	u := p.row
	u.createdAt = s.now()
	if err := mayStill(tx, &p.actor); err != nil {
		return err
	}
	known, err := findUser(tx, u.id)
	if err != nil {
		return err
	}
	if known != nil {
		switch {
		case known.erasedAt != 0:
			u.epoch = u.createdAt - u.createdAt%1e6 // tokens say the second they were made in
			_, err = tx.Exec(forgetUser, wire.TextValue(u.id))
		case known.erase:
			err = wire.NewError(wire.CodeAlreadyExists, "user '", u.id, "' was dropped and already exists until their rows are gone, which is under way: try again in a moment")
		case known.deletedAt != 0:
			err = wire.NewError(wire.CodeAlreadyExists, "user '", u.id, "' was dropped and the name cannot be used again: it already exists with its data. DROP USER \"", u.id, "\" CASCADE erases the data")
		default:
			err = wire.NewError(wire.CodeAlreadyExists, "user '", u.id, "' already exists")
		}
		if err != nil {
			return err
		}
	}
	// An id comes before a name at sign-in, so it must not take one.
	owner, err := s.Owner(tx, methodOf(u.id), u.id)
	if err != nil {
		return err
	}
	if owner != "" {
		return wire.NewError(wire.CodeAlreadyExists, "user '", u.id, "' already exists: it is what the account ", owner, " signs in with")
	}
	if u.authType == AuthOIDC {
		if err := freeSubject(tx, u.authData); err != nil {
			return err
		}
	}
	trail.add(p.event)
	return insertUserRow(tx, &u)
}

// freeSubject refuses an issuer and subject that a user has whose rows may be
// there.
func freeSubject(tx *store.Tx, authData string) error {
	id := ""
	err := tx.Query(selectUserByAuthData, []wire.Value{wire.TextValue(authData)}, func(row []wire.Value) error {
		id = row[0].Text()
		return nil
	})
	if err != nil || id == "" {
		return err
	}
	known, err := findUser(tx, id)
	if err != nil {
		return err
	}
	if known.erasedAt == 0 {
		return wire.NewError(wire.CodeAlreadyExists, "user '", id, "' already exists with this issuer and subject")
	}
	_, err = tx.Exec(forgetUser, wire.TextValue(id))
	return err
}

// authorise refuses an actor that may not create, alter or drop a user of that
// role.
func authorise(actor *Principal, role, verb string) error {
	if actor == nil || !actor.IsAdmin() {
		return errDenied("permission denied: only dba and system may ", verb, " users")
	}
	if !mayManage(actor.Role, role) {
		return errDenied("permission denied: only system may ", verb, " a user of role ", role)
	}
	return nil
}

func checkEmail(email string) error {
	if len(email) > maxEmailBytes || !utf8.ValidString(email) || strings.ContainsFunc(email, unicode.IsControl) {
		return wire.NewError(wire.CodeInvalidInput, "the e-mail address is not valid")
	}
	return nil
}

// checkName returns a user id in its one form (NFC), or refuses it.
func checkName(name string) (string, error) {
	invalid := func(why string) (string, error) {
		return "", wire.NewError(CodeInvalidUser, "the user name ", why)
	}
	if !utf8.ValidString(name) {
		return invalid("is not valid UTF-8")
	}
	if len(name) <= 4*maxNameBytes { // whatever is longer stays too long
		name = norm.NFC.String(name)
	}
	switch {
	case len(name) > maxNameBytes:
		return invalid("is longer than 128 bytes")
	case strings.TrimSpace(name) == "":
		return invalid("is empty")
	case strings.TrimSpace(name) != name:
		return invalid("begins or ends with a space")
	case strings.Contains(name, ".."), strings.ContainsAny(name, `/\`):
		return invalid(`must not contain "..", "/" or "\"`)
	case strings.ContainsFunc(name, invisible):
		return invalid("contains characters that cannot be seen")
	}
	return name, nil
}

// invisible are the control characters, and those that only steer how others
// are shown: names that look the same are the same.
func invisible(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// localName is checkName for a user of the server's own issuer. The colon is
// left to the users of other issuers.
func localName(name string) (string, error) {
	name, err := checkName(name)
	if err == nil && strings.Contains(name, ":") {
		err = wire.NewError(CodeInvalidUser, "the user name must not contain a colon")
	}
	return name, err
}

// parseAuthData reads the issuer and subject of an OIDC user and returns them
// in the one form that is stored. The older key provider means issuer.
func parseAuthData(secret string) (string, error) {
	var in struct {
		Issuer   string `json:"issuer"`
		Provider string `json:"provider"`
		Subject  string `json:"subject"`
	}
	dec := json.NewDecoder(strings.NewReader(secret))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil || !atEnd(dec) {
		return "", wire.NewError(wire.CodeInvalidInput, `OIDC needs {"issuer":"...","subject":"..."}`)
	}
	if in.Issuer == "" {
		in.Issuer = in.Provider
	}
	if in.Issuer == "" || in.Subject == "" || in.Issuer == Issuer {
		return "", wire.NewError(wire.CodeInvalidInput, "OIDC needs an issuer other than this server, and a subject")
	}
	return authData(in.Issuer, in.Subject), nil
}

func atEnd(dec *json.Decoder) bool {
	_, err := dec.Token()
	return errors.Is(err, io.EOF)
}
