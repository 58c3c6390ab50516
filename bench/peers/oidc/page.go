package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// certificate makes a certificate for this machine in a folder.
func certificate(dir string) (certFile, keyFile string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "provider-cert.pem"), filepath.Join(dir, "provider-key.pem")
	err = os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	if err == nil {
		err = os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600)
	}
	return certFile, keyFile, err
}

// app is a web application with one person at it: it keeps that person's tokens
// and gives its page a fresh access token whenever asked.
type app struct {
	config oauth2.Config
	http   *http.Client

	mu       sync.Mutex
	verifier string // mu guards it and the rest
	source   oauth2.TokenSource
}

func servePage(addr, dir, issuer, client, redirect, certFile string) error {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	absolute, err := filepath.Abs(certFile)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("[[auth.issuers]]\nalias = \"test\"\nissuer = %q\naudience = [%q]\nauto_provision = true\nallow_private = true\nca_file = %q\n", issuer, client, absolute)
	file := filepath.Join(dir, "kalam.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	a := &app{
		config: oauth2.Config{
			ClientID: client, RedirectURL: redirect, Scopes: []string{"openid", "offline_access"},
			Endpoint: oauth2.Endpoint{AuthURL: issuer + "/auth", TokenURL: issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
		},
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page)
	mux.HandleFunc("GET /sign-in", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("GET /api/auth/token", a.token)
	fmt.Printf("Serve with:    kalam serve --demo --config %s\nThen open:     http://%s   (users test-user@localhost and test-user2, password verysecure)\n", file, addr)
	return http.ListenAndServe(addr, mux)
}

func (a *app) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><title>Sign in</title>
<p><a href="/sign-in">Sign in at the provider</a> (your browser will ask about its certificate)
<p>Then <a href="/api/auth/token">/api/auth/token</a> gives a fresh access token whenever it is asked.
Keep one with <code>kalam login --with-token</code>, or let a client's provider fetch it.`)
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verifier = oauth2.GenerateVerifier()
	http.Redirect(w, r, a.config.AuthCodeURL(a.verifier[:16], oauth2.S256ChallengeOption(a.verifier)), http.StatusFound)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.verifier == "" || r.FormValue("state") != a.verifier[:16] {
		http.Error(w, "this sign-in was not begun here", http.StatusBadRequest)
		return
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, a.http)
	token, err := a.config.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		http.Error(w, "the provider refused", http.StatusBadGateway)
		return
	}
	a.verifier, a.source = "", a.config.TokenSource(ctx, token)
	http.Redirect(w, r, "/", http.StatusFound)
}

// token is the endpoint that the page of an application asks.
func (a *app) token(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	source := a.source
	a.mu.Unlock()
	if source == nil {
		http.Error(w, "sign in first", http.StatusForbidden)
		return
	}
	token, err := source.Token()
	if err != nil {
		http.Error(w, "the provider does not answer", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]string{"access_token": token.AccessToken})
}
