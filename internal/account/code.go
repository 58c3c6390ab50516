package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// A code lives so long and allows so many tries.
const (
	codeLife  = 10 * time.Minute
	codeTries = 5
)

// code is a row of the table codes: what redeeming it does.
type code struct {
	addressKey   []byte
	purpose      mail.Purpose
	address      string
	userID       string // "" where redeeming it makes the account, or where there is none
	hash         []byte
	link, flow   []byte
	tries        int64
	expiresAt    int64 // microseconds
	passwordHash string
	name         string
	role         string // of the account that redeeming it makes, "" for none
	invite       string
	redirectTo   string
}

const codeColumns = "address_key, purpose, address, user_id, hash, link, flow, tries, expires_at, password_hash, name, role, invite, redirect_to"

var (
	text    = wire.Type{Kind: wire.Text}
	integer = wire.Type{Kind: wire.BigInt}
	blob    = wire.Type{Kind: wire.Bytes}

	codeTypes  = []wire.Type{blob, text, text, text, blob, blob, blob, integer, integer, text, text, text, text, text}
	selectCode = &store.Stmt{
		SQL:  "SELECT " + codeColumns + " FROM codes WHERE address_key = $1 AND purpose = $2",
		Args: []wire.Type{blob, text}, Cols: codeTypes,
	}
	selectLink = &store.Stmt{SQL: "SELECT " + codeColumns + " FROM codes WHERE link = $1", Args: []wire.Type{blob}, Cols: codeTypes}
	deleteCode = &store.Stmt{SQL: "DELETE FROM codes WHERE address_key = $1 AND purpose = $2", Args: []wire.Type{blob, text}}
	insertCode = &store.Stmt{
		SQL:  "INSERT INTO codes (" + codeColumns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		Args: codeTypes,
	}
	tryCode = &store.Stmt{
		SQL:  "UPDATE codes SET tries = tries - 1 WHERE address_key = $1 AND purpose = $2",
		Args: []wire.Type{blob, text},
	}
	dropPassword = &store.Stmt{
		SQL:  "UPDATE codes SET password_hash = $3 WHERE address_key = $1 AND purpose = $2",
		Args: []wire.Type{blob, text, text},
	}
	// Each new code takes two old ones along.
	deleteOldCodes = &store.Stmt{
		SQL: `DELETE FROM codes WHERE (address_key, purpose) IN
			(SELECT address_key, purpose FROM codes WHERE expires_at <= $1 LIMIT 2)`,
		Args: []wire.Type{integer},
	}
)

func readCode(row []wire.Value) *code {
	return &code{
		addressKey: row[0].Bytes(), purpose: mail.Purpose(row[1].Text()), address: row[2].Text(), userID: row[3].Text(),
		hash: row[4].Bytes(), link: row[5].Bytes(), flow: row[6].Bytes(), tries: row[7].Int(), expiresAt: row[8].Int(),
		passwordHash: row[9].Text(), name: row[10].Text(), role: row[11].Text(), invite: row[12].Text(), redirectTo: row[13].Text(),
	}
}

func find(tx *store.Tx, s *store.Stmt, args ...wire.Value) (c *code, err error) {
	err = tx.Query(s, args, func(row []wire.Value) error {
		c = readCode(row)
		return nil
	})
	return c, err
}

// Flow is the cookie of a browser that has asked for a code; a link signs in
// only there.
type Flow string

// NewFlow makes one.
func NewFlow() Flow { return Flow(rand.Text()) }

// digits makes the six digits of a code.
func digits() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

func (s *Service) codeHash(c *code, digits string) []byte {
	return s.users.SecretHash("code", string(c.purpose)+"\x00"+string(c.addressKey)+"\x00"+digits)
}

// known reports whether redeeming a code does something.
func (c *code) known() bool { return c.userID != "" || c.role != "" }

// issue stores a code in place of one that the address has for the purpose, and
// queues its mail unless the address has had too many. silent sends none, and
// does the same work.
func (s *Service) issue(tx *store.Tx, c *code, flow Flow, silent bool) error {
	return s.store(tx, c, flow, mail.Message{Purpose: c.purpose, User: c.userID, Withheld: silent})
}

// store is issue with the mail that the address gets. A mail about another
// purpose than that of the code does not contain the code.
func (s *Service) store(tx *store.Tx, c *code, flow Flow, m mail.Message) error {
	number, err := digits()
	if err != nil {
		return err
	}
	c.addressKey = s.users.AddressKey(c.address)
	allowed, err := s.mail.Allows(tx, c.addressKey, s.options.MailsPerHour, burst)
	if err != nil || !allowed {
		return err
	}
	token := rand.Text()
	now := s.options.Now()
	c.hash, c.link, c.flow = s.codeHash(c, number), s.users.SecretHash("link", token), s.users.SecretHash("flow", string(flow))
	c.tries, c.expiresAt = codeTries, now.Add(codeLife).UnixMicro()
	if _, err := tx.Exec(deleteOldCodes, wire.IntValue(now.UnixMicro())); err != nil {
		return err
	}
	key, purpose := wire.BytesValue(c.addressKey), wire.TextValue(string(c.purpose))
	if _, err := tx.Exec(deleteCode, key, purpose); err != nil {
		return err
	}
	_, err = tx.Exec(insertCode, key, purpose, wire.TextValue(c.address), wire.TextValue(c.userID), wire.BytesValue(c.hash),
		wire.BytesValue(c.link), wire.BytesValue(c.flow), wire.IntValue(c.tries), wire.IntValue(c.expiresAt), wire.TextValue(c.passwordHash),
		wire.TextValue(c.name), wire.TextValue(c.role), wire.TextValue(c.invite), wire.TextValue(c.redirectTo))
	if err != nil {
		return err
	}
	m.To, m.Key = c.address, c.addressKey
	if m.Purpose == c.purpose {
		m.Code, m.Link = number, s.linkTo(token)
	}
	return s.mail.Queue(tx, m)
}

// linkTo is the address of the page that confirms a link, "" without a public
// origin: a link is never built from what a request says.
func (s *Service) linkTo(token string) string {
	if s.options.PublicOrigin == "" {
		return ""
	}
	return s.options.PublicOrigin + ConfirmPath + "?token=" + url.QueryEscape(token)
}

// ConfirmPath is the page that links in mails lead to.
const ConfirmPath = "/v1/api/auth/confirm"

func errInvalidCode() error {
	return wire.NewError(CodeInvalidCode, "the code is wrong or too old; ask for a new one")
}

// take redeems a code: it is gone whatever comes of it. A wrong one costs a try.
func (s *Service) take(ctx context.Context, address string, purpose mail.Purpose, number string) (*code, error) {
	key := wire.BytesValue(s.users.AddressKey(address))
	c, err := store.Write(ctx, s.db, func(tx *store.Tx) (*code, error) {
		kind := wire.TextValue(string(purpose))
		c, err := find(tx, selectCode, key, kind)
		if err != nil || c == nil || c.tries <= 0 || c.expiresAt <= s.options.Now().UnixMicro() {
			return nil, err
		}
		if !hmac.Equal(c.hash, s.codeHash(c, number)) {
			_, err = tx.Exec(tryCode, key, kind)
			return nil, err
		}
		_, err = tx.Exec(deleteCode, key, kind)
		return c, err
	})
	if err == nil && c == nil {
		err = errInvalidCode()
	}
	return c, err
}
