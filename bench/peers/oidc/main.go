// Command oidc is an OpenID provider for tests: the one of zitadel/oidc, over
// TLS, with two users (test-user@localhost and test-user2, both with password
// verysecure) and one public client that uses the code flow with PKCE. Its
// access tokens are JWTs.
//
// It prints the issuer's URL when it serves, and ends when its standard input
// does, so that it never outlives the test that started it.
//
// With -page it is for a person instead: it makes a certificate, writes a
// kalam.toml that trusts it, and serves a page to sign in on, with the token
// endpoint that the documentation speaks of (/api/auth/token).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	cert := flag.String("cert", "", "certificate (PEM) for localhost")
	key := flag.String("key", "", "its key (PEM)")
	client := flag.String("client", "kalam-app", "id of the client, which is also the audience of its tokens")
	redirect := flag.String("redirect", "http://localhost/callback", "where the client is called back")
	life := flag.Duration("life", 5*time.Minute, "life of an access token")
	page := flag.String("page", "", "address of a page to sign in on, as localhost:9090")
	dir := flag.String("dir", ".", "folder for what -page writes")
	flag.Parse()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if *page != "" {
		*redirect = "http://" + *page + "/callback"
		if *cert, *key, err = certificate(*dir); err != nil {
			log.Fatal(err)
		}
	}
	issuer := "https://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	app := storage.NativeClient(*client, *redirect)
	users := storage.NewUserStore(issuer)
	s := &tokens{storage.NewStorageWithClients(users, map[string]*storage.Client{*client: app}), *life}
	handler := exampleop.SetupServer(issuer, s, slog.New(slog.DiscardHandler), false)
	if *page != "" {
		go func() { log.Fatal(servePage(*page, *dir, issuer, *client, *redirect, *cert)) }()
	} else {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		fmt.Println(issuer)
	}
	log.Fatal(http.ServeTLS(l, handler, *cert, *key))
}

// tokens is the example's storage with JWTs of a chosen life.
type tokens struct {
	*storage.Storage
	life time.Duration
}

type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func (s *tokens) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return jwtClient{c}, nil
}

func (s *tokens) CreateAccessToken(ctx context.Context, r op.TokenRequest) (string, time.Time, error) {
	id, _, err := s.Storage.CreateAccessToken(ctx, r)
	return id, time.Now().Add(s.life), err
}

func (s *tokens) CreateAccessAndRefreshTokens(ctx context.Context, r op.TokenRequest, current string) (string, string, time.Time, error) {
	id, refresh, _, err := s.Storage.CreateAccessAndRefreshTokens(ctx, r, current)
	return id, refresh, time.Now().Add(s.life), err
}

// GetPrivateClaimsFromScopes puts the user into a group.
func (s *tokens) GetPrivateClaimsFromScopes(_ context.Context, user, _ string, _ []string) (map[string]any, error) {
	if user == "id1" {
		return map[string]any{"groups": []string{"staff", "operators"}}, nil
	}
	return map[string]any{"groups": []string{"staff"}}, nil
}
