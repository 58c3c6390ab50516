package keys

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// The private keys that sign access tokens are files of the key folder, PKCS #8
// in PEM. The first is keyFile; each one that rotation adds has a time in its
// name, and says in a header of its PEM block from when on it signs.
const (
	keyFile     = "signing-key.pem"
	keyPattern  = "signing-key*.pem"
	signsFrom   = "Signs-From"
	keepOldKeys = 31 * 24 * time.Hour // after their last token, as somebody may have configured long lives
)

// Lead is how long a new key is published before it signs, so that whoever
// keeps the key set knows it in time.
const Lead = 10 * time.Minute

// Load reads the keys of a folder, or makes the first when there is none.
func Load(dir string, life time.Duration, log *slog.Logger) (*Set, error) {
	if dir == "" {
		return nil, errors.New("neither a key folder nor a token secret is configured")
	}
	files, err := filepath.Glob(filepath.Join(dir, keyPattern))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		if _, err := makeKey(filepath.Join(dir, keyFile), time.Time{}); err != nil {
			return nil, err
		}
	}
	k := &Set{Alg: jose.EdDSA, life: life, Dir: dir}
	if _, _, err := k.Reload(log); err != nil {
		return nil, err
	}
	return k, nil
}

// settled is how long after a change of the folder the clock of the file system
// shows every further one.
const settled = 2 * time.Second

// Reload reads the folder when it has changed since. It reports whether the keys
// are others now, and the ids of those that are gone.
func (k *Set) Reload(log *slog.Logger) (changed bool, gone []string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.Dir)
	if err != nil {
		return false, nil, fmt.Errorf("read key folder: %w", err)
	}
	if info.ModTime().Equal(k.changed) {
		return false, nil, nil
	}
	next, err := readRing(k.Dir, k.life, log)
	if err != nil {
		return false, nil, err
	}
	k.changed = time.Time{}
	if time.Since(info.ModTime()) > settled {
		k.changed = info.ModTime()
	}
	before := k.ring.Swap(next)
	if before != nil {
		for _, key := range before.list {
			if !slices.ContainsFunc(next.list, func(n *Key) bool { return n.Id == key.Id }) {
				gone = append(gone, key.Id)
			}
		}
	}
	return before == nil || string(before.public) != string(next.public), gone, nil
}

func readRing(dir string, life time.Duration, log *slog.Logger) (*ring, error) {
	files, err := filepath.Glob(filepath.Join(dir, keyPattern))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read signing key: %s holds none", dir)
	}
	r := &ring{}
	for _, path := range files {
		key, err := readKey(path, log)
		if err != nil {
			return nil, fmt.Errorf("read signing key: %w", err)
		}
		r.list = append(r.list, key)
	}
	slices.SortFunc(r.list, func(a, b *Key) int { return cmp.Or(a.From.Compare(b.From), strings.Compare(a.file, b.file)) })
	set := jose.JSONWebKeySet{}
	for i, key := range r.list {
		if i+1 < len(r.list) {
			key.until = r.list[i+1].From.Add(life)
		}
		set.Keys = append(set.Keys, key.jwk)
	}
	r.public, err = json.Marshal(set)
	return r, err
}

func readKey(path string, log *slog.Logger) (*Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("the signing key was open to other users of this machine, closing it", "file", path)
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key", path)
	}
	key, err := newKey(private)
	if err != nil {
		return nil, err
	}
	key.file = path
	if at, ok := block.Headers[signsFrom]; ok {
		if key.From, err = time.Parse(time.RFC3339, at); err != nil {
			return nil, fmt.Errorf("%s: the header %s is no time", path, signsFrom)
		}
	}
	return key, nil
}

// newKey names a key by its thumbprint (RFC 7638).
func newKey(private ed25519.PrivateKey) (*Key, error) {
	key := &Key{Verify: private.Public(), jwk: jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.EdDSA), Use: "sig"}}
	print, err := key.jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name key: %w", err)
	}
	key.Id = base64.RawURLEncoding.EncodeToString(print)
	key.jwk.KeyID = key.Id
	signing := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: key.Id}}
	if key.Signer, err = jose.NewSigner(signing, signerOptions()); err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return key, nil
}

// makeKey makes a key that signs from a time on; zero: at once.
func makeKey(path string, from time.Time) (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make key folder: %w", err)
	}
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	if !from.IsZero() {
		block.Headers = map[string]string{signsFrom: from.UTC().Format(time.RFC3339)}
	}
	if err := writeDurably(path, pem.EncodeToMemory(block)); err != nil {
		return nil, fmt.Errorf("write signing key: %w", err)
	}
	key, err := newKey(private)
	if err == nil {
		key.file, key.From = path, from
	}
	return key, err
}

// Info describes a key of a key folder.
type Info struct {
	ID        string
	SignsFrom time.Time // zero: since the folder was made
	Current   bool
}

// List lists the keys of a folder, the one that signs last at the end.
func List(dir string, now time.Time) ([]Info, error) {
	r, err := readRing(dir, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	k := &Set{}
	k.ring.Store(r)
	signs := k.Current(now)
	out := make([]Info, len(r.list))
	for i, key := range r.list {
		out[i] = Info{ID: key.Id, SignsFrom: key.From, Current: key == signs}
	}
	return out, nil
}

// Rotate adds a key to a folder. It signs after KeyLead; tokens of the key
// before are good until their end. A server that runs on the folder notices.
// With revoke the new key signs at once and the others are removed: every
// access token is void, and clients refresh their sessions.
func Rotate(dir string, now time.Time, revoke bool) (Info, error) {
	r, err := readRing(dir, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return Info{}, err
	}
	from := now.Add(Lead)
	if revoke {
		from = now
	}
	if last := r.list[len(r.list)-1]; !revoke && last.From.After(now) {
		return Info{}, fmt.Errorf("key %s is about to sign from %s on; rotate again after that", last.Id, last.From.Format(time.RFC3339))
	}
	path := filepath.Join(dir, "signing-key-"+from.UTC().Format("20060102T150405.000Z")+".pem")
	key, err := makeKey(path, from.Truncate(time.Second))
	if err != nil {
		return Info{}, err
	}
	for i, old := range r.list {
		over := i+1 < len(r.list) && now.Sub(r.list[i+1].From) > keepOldKeys
		if !revoke && !over {
			continue
		}
		if err := os.Remove(old.file); err != nil {
			return Info{}, fmt.Errorf("remove a key that is over: %w", err)
		}
	}
	return Info{ID: key.Id, SignsFrom: key.From, Current: revoke}, nil
}
