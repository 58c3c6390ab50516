// Package keys holds the keys that sign the server's own access tokens: the
// files of the key folder, their rotation, or one secret.
package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/internal/redact"
)

const minSecretBytes = 32

// Set sign and verify the server's own access tokens, with the one algorithm
// that the configuration chose.
type Set struct {
	Alg  jose.SignatureAlgorithm
	life time.Duration // of a token: how long a replaced key goes on verifying

	Dir     string // of the key files; "" in HS256 mode
	mu      sync.Mutex
	changed time.Time // of dir, when it was read; mu guards it
	ring    atomic.Pointer[ring]
}

// ring is the keys at one time. It is immutable.
type ring struct {
	list   []*Key // by the time from which they sign
	public []byte // JWK set
}

// Key is a key, or the secret of HS256 mode.
type Key struct {
	redact.Redacted
	Id     string    // kid; "" fits every kid
	From   time.Time // it signs from here on, until the next one does
	until  time.Time // it verifies until here; zero: no end
	Verify any
	Signer jose.Signer
	jwk    jose.JSONWebKey
	file   string
}

// errKey is all that a caller learns of a token whose key is not ours.
var errKey = errors.New("unknown key")

// ByID returns the key that verifies tokens of that kid.
func (k *Set) ByID(kid string, now time.Time) (*Key, error) {
	for _, key := range k.ring.Load().list {
		if (key.Id == "" || key.Id == kid) && (key.until.IsZero() || now.Before(key.until)) {
			return key, nil
		}
	}
	return nil, errKey
}

// Current is the key that signs.
func (k *Set) Current(now time.Time) *Key {
	list := k.ring.Load().list
	for i := len(list) - 1; i > 0; i-- {
		if !list[i].From.After(now) {
			return list[i]
		}
	}
	return list[0]
}

// Newest returns the key that signs last.
func (k *Set) Newest() *Key {
	list := k.ring.Load().list
	return list[len(list)-1]
}

// Public returns the JWK set.
func (k *Set) Public() []byte { return k.ring.Load().public }

// FromSecret makes the keys of HS256 mode, in which an app that knows the
// secret mints tokens too.
func FromSecret(secret string) (*Set, error) {
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	key := []byte(secret)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, signerOptions())
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	k := &Set{Alg: jose.HS256}
	k.ring.Store(&ring{list: []*Key{{Verify: key, Signer: signer}}, public: []byte(`{"keys":[]}`)})
	return k, nil
}

// signerOptions set the type "JWT" and not RFC 9068's "at+jwt": it is what
// KalamDB 0.4 wrote and what its clients and people's tools have seen. The
// claim token_type tells an access token from everything else.
func signerOptions() *jose.SignerOptions { return (&jose.SignerOptions{}).WithType("JWT") }

// writeDurably makes the file with its whole content or not at all, also when
// the power fails: written beside, synced, renamed, and the folder synced.
func writeDurably(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// sampleSecrets are pieces of the secrets that stand in examples and
// documentation, with everything but letters and digits removed.
var sampleSecrets = []string{
	"changeme", "changethis", "changeit", "changeinproduction", "replaceme", "replacethis", "placeholder",
	"yoursecret", "yourjwtsecret", "yoursupersecret", "your256bit", "256bitsecret", "mysecretkey", "mysupersecret",
	"supersecretjwt", "examplesecret", "devsecret", "defaultsecret", "testsecret", "insecure", "donotuse",
}

// checkSecret refuses a token secret that can be guessed. Whoever has it is
// every user of the server.
func checkSecret(secret string) error {
	if len(secret) < minSecretBytes {
		return fmt.Errorf("the token secret must have at least %d bytes", minSecretBytes)
	}
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(secret))
	for _, sample := range sampleSecrets {
		if strings.Contains(plain, sample) {
			return errors.New("the token secret is a known sample, make your own: openssl rand -base64 32")
		}
	}
	distinct := make(map[byte]bool)
	for i := range len(secret) {
		distinct[secret[i]] = true
	}
	if len(distinct) < 10 {
		return errors.New("the token secret repeats itself, make a random one: openssl rand -base64 32")
	}
	return nil
}
