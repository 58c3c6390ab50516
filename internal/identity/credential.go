package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// What an account signs in with beside its id.
const (
	ByEmail = "email" // a verified address
	ByName  = "user"  // a user name
)

// ErrTaken is returned when another account signs in with a name already.
var ErrTaken = wire.NewError(CodeUserExists, "this name is taken by another account")

// Fold returns the one form of a name or address in which names are compared:
// NFKC with its case folded.
func Fold(name string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name))))
}

// AddressKey stands for an address where the address itself must not be stored.
func (s *Service) AddressKey(address string) []byte { return s.SecretHash("address", Fold(address)) }

// SecretHash is a keyed hash of something that is known to its owner only. The
// purpose keeps kinds of secrets apart.
func (s *Service) SecretHash(purpose, secret string) []byte {
	h := hmac.New(sha256.New, s.refreshKey)
	h.Write([]byte("secret of a " + purpose + "\x00" + secret))
	return h.Sum(nil)
}

var (
	selectCredential = &store.Stmt{
		SQL:  "SELECT user_id FROM credentials WHERE method = $1 AND subject = $2",
		Args: []wire.Type{text, text}, Cols: []wire.Type{text},
	}
	insertCredential = &store.Stmt{
		SQL:  "INSERT INTO credentials (method, subject, user_id, created_at) VALUES ($1, $2, $3, $4)",
		Args: []wire.Type{text, text, text, integer},
	}
	selectID = &store.Stmt{
		SQL:  "SELECT user_id FROM users WHERE lower(user_id) = lower($1) OR lower(user_id) = lower($2) LIMIT 1",
		Args: []wire.Type{text, text}, Cols: []wire.Type{text},
	}
	dropCredentials   = &store.Stmt{SQL: "DELETE FROM credentials WHERE user_id = $1", Args: []wire.Type{text}}
	deleteCredentials = &store.Stmt{
		SQL:  "DELETE FROM credentials WHERE user_id = $1 AND method = $2",
		Args: []wire.Type{text, text},
	}
)

// Owner returns the id of the account that signs in with a name or address, ""
// if there is none.
func (s *Service) Owner(tx *store.Tx, method, name string) (id string, err error) {
	err = tx.Query(selectCredential, []wire.Value{wire.TextValue(method), wire.TextValue(Fold(name))}, func(row []wire.Value) error {
		id = row[0].Text()
		return nil
	})
	return id, err
}

// SetCredential makes an account sign in with a name or address, in place of one
// of the same method. It fails with ErrTaken.
func (s *Service) SetCredential(tx *store.Tx, id, method, name string) error {
	owner, err := s.Owner(tx, method, name)
	if err != nil || owner == id {
		return err
	}
	if owner != "" {
		return ErrTaken
	}
	if method == ByName {
		taken, err := isID(tx, name)
		if err != nil {
			return err
		}
		if taken {
			return ErrTaken
		}
	}
	if _, err := tx.Exec(deleteCredentials, wire.TextValue(id), wire.TextValue(method)); err != nil {
		return err
	}
	_, err = tx.Exec(insertCredential, wire.TextValue(method), wire.TextValue(Fold(name)), wire.TextValue(id), wire.IntValue(s.now()))
	return err
}

// isID reports whether a name reads like the id of a user, present or dropped.
func isID(tx *store.Tx, name string) (taken bool, err error) {
	err = tx.Query(selectID, []wire.Value{wire.TextValue(name), wire.TextValue(Fold(name))}, func([]wire.Value) error {
		taken = true
		return nil
	})
	return taken, err
}

// methodOf is how somebody signs in with a name that is not an id.
func methodOf(name string) string {
	if strings.Contains(name, "@") {
		return ByEmail
	}
	return ByName
}

// signInUser finds the user that somebody signs in as: by id, or by what an account
// signs in with.
func (s *Service) signInUser(tx *store.Tx, name string) (*userRow, error) {
	if u, err := findUser(tx, name); err != nil || u != nil {
		return u, err
	}
	id, err := s.Owner(tx, methodOf(name), name)
	if err != nil || id == "" {
		return nil, err
	}
	return findUser(tx, id)
}
