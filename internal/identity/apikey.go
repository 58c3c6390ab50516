package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// An API key is kalam_, a public prefix that finds it, a secret, and a checksum
// of all before, so that scanners find keys in texts and a key that was mistyped
// or cut off is told from one that nobody has.
const (
	keyMark     = "kalam_"
	keyPrefix   = 8  // characters
	keySecret   = 43 // characters of 32 bytes
	keyChecksum = 6  // characters of a CRC-32
	keyLength   = len(keyMark) + keyPrefix + keySecret + keyChecksum

	// maxKeysEach bounds the keys of a user.
	maxKeysEach = 100

	byAPIKey = "api_key"
)

// base62 is in the order of math/big.
const base62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// NewAPIKey is an API key as the statement has it. Zero values do not narrow.
type NewAPIKey struct {
	Name       string
	User       string // whose it is, "" for the actor's
	ReadOnly   bool
	Namespaces []string
	Topics     []string // full names
	ExpiresAt  time.Time
}

// Scope is what an API key lets its bearer do of what its user may. It never
// changes.
type Scope struct {
	Prefix     string // of the key
	ReadOnly   bool
	Namespaces []string // nil: all
	Topics     []string // nil: all

	use *keyUse
}

var (
	insertAPIKey = &store.Stmt{
		SQL: `INSERT INTO api_keys (prefix, user_id, name, hash, read_only, namespaces, topics, created_by, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		Args: []wire.Type{text, text, text, blob, integer, text, text, text, integer, integer},
	}
	selectAPIKey = &store.Stmt{
		SQL:  `SELECT user_id, hash, read_only, namespaces, topics, expires_at, last_used_at FROM api_keys WHERE prefix = $1`,
		Args: []wire.Type{text},
		Cols: []wire.Type{text, blob, integer, text, text, integer, integer},
	}
	selectUserKeys = &store.Stmt{
		SQL:  "SELECT name, prefix FROM api_keys WHERE user_id = $1",
		Args: []wire.Type{text}, Cols: []wire.Type{text, text},
	}
	deleteAPIKey   = &store.Stmt{SQL: "DELETE FROM api_keys WHERE prefix = $1", Args: []wire.Type{text}}
	deleteUserKeys = &store.Stmt{SQL: "DELETE FROM api_keys WHERE user_id = $1", Args: []wire.Type{text}}
)

// CreateAPIKey makes a key in the caller's transaction and returns its name and
// the key, which is stored nowhere. Users make keys of their own, administrators
// those of whom they may manage.
func (s *Service) CreateAPIKey(tx *store.Tx, trail *Trail, actor *Principal, n *NewAPIKey, addr string) (name, key string, err error) {
	owner, err := keyOwner(tx, actor, n.User, "create API keys of")
	if err != nil {
		return "", "", err
	}
	if name, err = keyName(n.Name); err != nil {
		return "", "", err
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(s.options.Now()) {
		return "", "", wire.NewError(wire.CodeInvalidInput, "the API key would have expired already")
	}
	keys, err := userKeys(tx, owner)
	switch {
	case err != nil:
		return "", "", err
	case keys[name] != "":
		return "", "", wire.NewError(wire.CodeAlreadyExists, "API key '", name, "' of user '", owner, "' already exists")
	case len(keys) >= maxKeysEach:
		return "", "", wire.NewError(wire.CodeQuotaExceeded, "user '", owner, "' has 100 API keys, the most there can be; drop one first")
	}
	key, prefix := mintAPIKey()
	expires := wire.Null
	if !n.ExpiresAt.IsZero() {
		expires = wire.IntValue(n.ExpiresAt.UnixMicro())
	}
	_, err = tx.Exec(insertAPIKey, wire.TextValue(prefix), wire.TextValue(owner), wire.TextValue(name), wire.BytesValue(keyHash(key)),
		wire.IntValue(flag(n.ReadOnly)), jsonList(n.Namespaces), jsonList(n.Topics), wire.TextValue(actor.UserID), wire.IntValue(s.now()), expires)
	if err != nil {
		return "", "", err
	}
	e := event{action: auditKeyCreated, target: "api_key:" + prefix, details: name + n.describe()}
	if owner != actor.UserID {
		e.subject = owner
	}
	trail.add(s.by(actor, addr, e))
	return name, key, nil
}

// DropAPIKey removes a key in the caller's transaction; with the commit it opens
// nothing any more. It reports false when there is no such key.
func (s *Service) DropAPIKey(tx *store.Tx, trail *Trail, actor *Principal, name, user, addr string) (bool, error) {
	owner, err := keyOwner(tx, actor, user, "drop API keys of")
	if err != nil {
		return false, err
	}
	keys, err := userKeys(tx, owner)
	if err != nil {
		return false, err
	}
	name, err = keyName(name)
	prefix := keys[name]
	if err != nil || prefix == "" {
		return false, nil
	}
	if _, err := tx.Exec(deleteAPIKey, wire.TextValue(prefix)); err != nil {
		return false, err
	}
	tx.Tell(revoked(apiKeyKey(prefix)))
	e := event{action: auditKeyDropped, target: "api_key:" + prefix, details: name}
	if owner != actor.UserID {
		e.subject = owner
	}
	trail.add(s.by(actor, addr, e))
	return true, nil
}

// keyOwner returns whose keys actor manages: their own, or of a user whom they
// may manage. No key manages keys.
func keyOwner(tx *store.Tx, actor *Principal, user, verb string) (string, error) {
	if actor.Scope != nil {
		return "", errDenied("permission denied: an API key does not manage API keys; sign in")
	}
	if user == "" || user == actor.UserID {
		return actor.UserID, mayStill(tx, actor)
	}
	if !actor.IsAdmin() {
		return "", errDenied("permission denied: only dba and system may ", verb, " other users")
	}
	u, err := managed(tx, actor, user, verb)
	if err != nil {
		return "", err
	}
	return u.id, nil
}

// keyName is the name of a key in the form that is stored.
func keyName(name string) (string, error) {
	name, err := checkName(name)
	if err != nil {
		return "", wire.NewError(wire.CodeInvalidInput, "the name of the API key is not valid: it has 1 to 128 bytes, begins and ends with a character that can be seen, and contains no control character, slash, backslash or \"..\"")
	}
	return name, nil
}

// userKeys are the prefixes of the keys of a user, by name.
func userKeys(tx *store.Tx, user string) (map[string]string, error) {
	keys := make(map[string]string)
	err := tx.Query(selectUserKeys, []wire.Value{wire.TextValue(user)}, func(row []wire.Value) error {
		keys[row[0].Text()] = row[1].Text()
		return nil
	})
	return keys, err
}

// describe says in words what a key may do.
func (n *NewAPIKey) describe() string {
	text := ""
	if n.ReadOnly {
		text += ", read only"
	}
	if n.Namespaces != nil {
		text += ", namespaces " + strings.Join(n.Namespaces, " ")
	}
	if n.Topics != nil {
		text += ", topics " + strings.Join(n.Topics, " ")
	}
	if !n.ExpiresAt.IsZero() {
		text += ", until " + n.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return text
}

func mintAPIKey() (key, prefix string) {
	secret := make([]byte, 32)
	rand.Read(secret)
	for range keyPrefix {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(base62)))) // fails as little as Read
		prefix += base62[n.Int64() : n.Int64()+1]
	}
	key = keyMark + prefix + inBase62(new(big.Int).SetBytes(secret), keySecret)
	return key + checksumOf(key), prefix
}

// inBase62 writes n with a number of digits.
func inBase62(n *big.Int, digits int) string {
	text := n.Text(62)
	return strings.Repeat("0", digits-len(text)) + text
}

func checksumOf(key string) string {
	return inBase62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(key)))), keyChecksum)
}

// isAPIKey reports whether a token is meant to be an API key.
func isAPIKey(token string) bool { return strings.HasPrefix(token, keyMark) }

// parseKey returns the prefix of a key that is whole.
func parseKey(key string) (prefix string, ok bool) {
	if len(key) != keyLength || checksumOf(key[:keyLength-keyChecksum]) != key[keyLength-keyChecksum:] {
		return "", false
	}
	return key[len(keyMark) : len(keyMark)+keyPrefix], true
}

// keyHash is what is stored of a key. It has no salt and is quick, since 256
// random bits cannot be guessed.
func keyHash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// jsonList is a list as it is stored, NULL for none.
func jsonList(list []string) wire.Value {
	if list == nil {
		return wire.Null
	}
	list = slices.Clone(list)
	slices.Sort(list)
	b, _ := json.Marshal(slices.Compact(list)) // texts always become JSON
	return wire.TextValue(string(b))
}

func readList(v wire.Value) (list []string, err error) {
	if v.IsNull() {
		return nil, nil
	}
	list = []string{} // an empty one narrows to nothing
	return list, json.Unmarshal([]byte(v.Text()), &list)
}

// keyUsed notes that a key is in use, without a write for each request.
func (s *Service) keyUsed(p *Principal) {
	if p.Scope != nil {
		s.uses.note(p.Scope.use, s.now())
	}
}

// recordUses writes down from time to time which keys were used, and once more
// when ctx ends.
func (s *Service) recordUses(ctx context.Context) {
	tick := time.NewTicker(recordUsesEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ended = true
		}
		if err := s.RecordKeyUses(context.WithoutCancel(ctx)); err != nil {
			s.options.Logger.Error("the last use of API keys is not recorded; it is tried again", "error", err)
		}
	}
}

// RecordKeyUses writes down when keys were used. It happens by itself every 15
// seconds. When it returns, no use that came before is on its way.
func (s *Service) RecordKeyUses(ctx context.Context) error {
	s.uses.recording.Lock()
	defer s.uses.recording.Unlock()
	used := s.uses.take()
	if len(used) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		for prefix, at := range used {
			if _, err := tx.Exec(updateKeyUse, wire.TextValue(prefix), wire.IntValue(at)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.uses.putBack(used)
	}
	return err
}
