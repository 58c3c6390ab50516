package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
)

// keyFile holds the private key that signs access tokens, PKCS #8 in PEM.
const keyFile = "signing-key.pem"

const minSecretBytes = 32

// keys sign and verify the server's own access tokens, with the one algorithm
// that the configuration chose.
type keys struct {
	alg    jose.SignatureAlgorithm
	signer jose.Signer
	verify map[string]any // verification key by kid; "" fits every kid
	public []byte         // JWK set
}

// errKey is all that a caller learns of a token whose key is not ours.
var errKey = errors.New("unknown key")

// byID returns the key that verifies tokens of that kid.
func (k *keys) byID(kid string) (any, error) {
	if key, ok := k.verify[""]; ok {
		return key, nil
	}
	if key, ok := k.verify[kid]; ok {
		return key, nil
	}
	return nil, errKey
}

// secretKeys makes the keys of HS256 mode, in which an app that knows the
// secret mints tokens too.
func secretKeys(secret string) (*keys, error) {
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	key := []byte(secret)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, signerOptions())
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return &keys{alg: jose.HS256, signer: signer, verify: map[string]any{"": key}, public: []byte(`{"keys":[]}`)}, nil
}

// pairKeys makes the keys of the default mode: an Ed25519 pair.
func pairKeys(private ed25519.PrivateKey) (*keys, error) {
	public := private.Public().(ed25519.PublicKey)
	jwk := jose.JSONWebKey{Key: public, Algorithm: string(jose.EdDSA), Use: "sig"}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(print)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk}})
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	signing := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: jwk.KeyID}}
	signer, err := jose.NewSigner(signing, signerOptions())
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return &keys{alg: jose.EdDSA, signer: signer, verify: map[string]any{jwk.KeyID: public}, public: set}, nil
}

// signerOptions set the type "JWT" and not RFC 9068's "at+jwt": it is what
// KalamDB 0.4 wrote and what its clients and people's tools have seen. The
// claim token_type tells an access token from everything else.
func signerOptions() *jose.SignerOptions { return (&jose.SignerOptions{}).WithType("JWT") }

// loadKeys reads the key pair of a folder, or makes it when there is none.
func loadKeys(dir string, log *slog.Logger) (*keys, error) {
	if dir == "" {
		return nil, errors.New("neither a key folder nor a token secret is configured")
	}
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKeys(dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("the signing key was open to other users of this machine, closing it", "file", path)
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("close signing key: %w", err)
		}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read signing key: %s holds no PEM block", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read signing key: %s holds no Ed25519 key", path)
	}
	return pairKeys(private)
}

func makeKeys(dir, path string) (*keys, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key folder: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeDurably(path, text); err != nil {
		return nil, fmt.Errorf("write signing key: %w", err)
	}
	return pairKeys(private)
}

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
