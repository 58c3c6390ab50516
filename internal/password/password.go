// Package password makes and checks password hashes, in processes of low
// priority where the program allows it, and refuses passwords that guessers try
// first. It keeps nothing.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/kalamdb/kalam-go/wire"
)

// Parameters of new password hashes: argon2id with 19 MiB, two passes and one
// lane, the first recommendation of OWASP's password storage sheet.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSaltLen = 16
	argonKeyLen  = 32
)

const (
	MinLength      = 8 // characters, unless the operator says another number
	MaxBytes       = 256
	maxBcryptBytes = 72  // bcrypt ignores what follows
	maxHashWaiting = 128 // of each kind
)

// Hasher makes and checks password hashes, a few at a time: each one takes a
// core for tens of milliseconds and 19 MiB.
type Hasher struct {
	turns turns
	dummy string    // a hash that no password has, to work on when there is no user
	pool  *hashPool // nil: hashes are made here
}

// New makes a hasher. command, which may be empty, starts a process that
// calls ServeHashes; patience is how long such a process may take for a hash.
func New(command []string, patience time.Duration, log *slog.Logger) *Hasher {
	salt, key := make([]byte, argonSaltLen), make([]byte, argonKeyLen)
	rand.Read(salt)
	rand.Read(key)
	h := &Hasher{
		turns: turns{free: min(max(runtime.NumCPU(), 2), 4)},
		dummy: phc{argonMemory, argonTime, argonThreads, salt, key}.String(),
	}
	if len(command) > 0 {
		h.pool = &hashPool{command: command, patience: patience, log: log}
	}
	return h
}

func (h *Hasher) compute(r hashRequest) hashAnswer {
	if h.pool != nil {
		return h.pool.do(r)
	}
	return r.compute()
}

func (h *Hasher) Close() {
	if h.pool != nil {
		h.pool.close()
	}
}

// run calls f when a slot is free, unless gate, which may be nil, then objects.
// When too many wait it fails at once, so that a flood of logins cannot pile up
// requests.
func (h *Hasher) run(ctx context.Context, k kind, gate func() error, f func()) error {
	ok, err := h.turns.take(ctx, k)
	if err != nil {
		return err
	}
	if !ok {
		what := [...]string{checking: "logins", making: "sign-ups and changes of passwords"}[k]
		return wire.NewError(wire.CodeUnavailable, "Too many "+what+" at once, try again in a moment")
	}
	defer h.turns.give()
	if gate != nil {
		if err := gate(); err != nil {
			return err
		}
	}
	f()
	return nil
}

// Hash makes the hash of a password in PHC form.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	var out string
	err := h.run(ctx, making, nil, func() { out = h.compute(hashRequest{password: password}).hash })
	return out, err
}

// Verify reports whether the hash is the password's, and whether it was made
// with other parameters than new ones are. An empty hash belongs to nobody and
// costs the same work. gate is asked again when it is this password's turn.
func (h *Hasher) Verify(ctx context.Context, hash, password string, gate func() error) (match, outdated bool, err error) {
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	err = h.run(ctx, checking, gate, func() {
		a := h.compute(hashRequest{hash: hash, password: password})
		match, outdated = a.match, a.outdated
	})
	return match && known && err == nil, outdated, err
}

func hashPassword(password string) string {
	p := phc{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, argonSaltLen)}
	rand.Read(p.salt)
	p.key = p.derive(password, argonKeyLen)
	return p.String()
}

func verifyPassword(hash, password string) (match, outdated bool) {
	if strings.HasPrefix(hash, "$2") {
		if len(password) > maxBcryptBytes {
			return false, true
		}
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, true
	}
	p, ok := parsePHC(hash)
	if !ok {
		return false, true
	}
	match = subtle.ConstantTimeCompare(p.derive(password, len(p.key)), p.key) == 1
	outdated = p.memory != argonMemory || p.time != argonTime || p.threads != argonThreads ||
		len(p.salt) != argonSaltLen || len(p.key) != argonKeyLen
	return match, outdated
}

// phc is an argon2id hash with its parameters, as the PHC string format has
// them: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
type phc struct {
	memory, time, threads uint32
	salt, key             []byte
}

// derive hashes the password as Unicode sees it: NFKC makes the same text typed
// on another keyboard the same password. Nothing is cut off.
func (p phc) derive(password string, n int) []byte {
	return argon2.IDKey(norm.NFKC.AppendString(nil, password), p.salt, p.time, p.memory, uint8(p.threads), uint32(n))
}

// String gives the PHC form.
func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.time, p.threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// parsePHC reads a PHC string. Parameters that no sane operator chose are
// refused: a damaged row must not take the memory of the machine.
func parsePHC(s string) (phc, bool) {
	var p phc
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, false
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, false
	}
	if p.memory < 8 || p.memory > 1<<20 || p.time < 1 || p.time > 64 || p.threads < 1 || p.threads > 64 {
		return p, false
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(part[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(part[5])
	ok := err1 == nil && err2 == nil && len(p.salt) >= 8 && len(p.key) >= 16 && len(p.key) <= 64
	return p, ok
}

// Rules are what a new password must be like.
type Rules struct {
	MinLength int  // in characters
	Common    bool // passwords that guessers try first are good
}

// The keys of the configuration that permit a password.
const (
	PermitLength = "auth.min_password_length"
	PermitCommon = "auth.disable_common_password_check"
)

// Check refuses a new password that is too short, too long or among the first
// that a guesser tries: a common one, or one of the names given, as a whole.
// There are no rules about the kinds of its characters. permit is the key of the
// configuration that an operator could permit it with, "" for none.
func (r Rules) Check(password string, names ...string) (permit string, err error) {
	weak := func(permit, text string) (string, error) { return permit, wire.NewError(wire.CodeWeakPassword, text) }
	if !utf8.ValidString(password) {
		return weak("", "the password is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(password); n < r.MinLength {
		if n == 0 {
			return weak("", "the password is empty")
		}
		return weak(PermitLength, fmt.Sprintf("the password must have at least %d characters", r.MinLength))
	}
	if len(password) > MaxBytes {
		return weak("", fmt.Sprintf("the password must have at most %d bytes", MaxBytes))
	}
	folded := strings.ToLower(norm.NFKC.String(password))
	if Common()[folded] && !r.Common {
		return weak(PermitCommon, "the password is too common")
	}
	for _, name := range productNames {
		if rest := strings.ReplaceAll(folded, name, ""); strings.Trim(rest, "0123456789!") == "" && !r.Common {
			return weak(PermitCommon, "the password must not be the name of the product")
		}
	}
	for _, name := range names {
		if name != "" && folded == strings.ToLower(norm.NFKC.String(name)) {
			return weak("", "the password must not be the user's name or e-mail address")
		}
	}
	return "", nil
}
