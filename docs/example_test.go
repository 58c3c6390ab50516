package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/oauth"
)

// TestAuthenticationInGo runs what authentication.md shows in Go, piece by
// piece as it stands there.
func TestAuthenticationInGo(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	url := server.URL
	ctx := t.Context()

	t.Run("password", func(t *testing.T) {
		db, err := client.New(url, auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()

		row, err := db.QueryRow(ctx, "SELECT CURRENT_USER() AS me")
		if err != nil || row.Text("me") != "alice" {
			t.Fatalf("%v %v", row, err)
		}

		login, err := db.Login(ctx)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(login.User.ID, login.ExpiresAt)

		refreshed, err := db.RefreshToken(ctx, login.RefreshToken)
		if err != nil || refreshed.AccessToken == login.AccessToken {
			t.Fatalf("%v", err)
		}
	})

	t.Run("accounts", func(t *testing.T) {
		mail := servertest.StartMail(t)
		url := servertest.Start(t, servertest.Options{Config: func(c *config.Config) {
			mail.Config(c)
			c.Auth.Accounts.SignUp, c.Auth.Accounts.Email = "open", "none"
		}}).URL
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		db, err := client.New(url, auth.Static(auth.Auth{}), client.Options{})
		accounts := db.Accounts()

		check(err)
		defer db.Close()
		session, err := accounts.SignUp(ctx, client.SignUp{User: "frida", Password: "choose-a-good-one"})

		check(err)
		if session == nil || session.RefreshToken == "" {
			t.Errorf("session %v", session)
		}
		// With an address the session is nil, and begins with the code from the mail:
		session, err = accounts.SignUp(ctx, client.SignUp{Email: "frida@example.com", Password: "choose-a-good-one"})
		if err != nil || session != nil {
			t.Fatalf("%v, %v", session, err)
		}
		code := mail.Wait("frida@example.com", 1).Code()
		session, err = accounts.RedeemCode(ctx, client.Code{Email: "frida@example.com", Code: code, Purpose: "verify"})

		check(err)
		me, err := db.Me(ctx)
		if err != nil || me.ID != session.User.ID || me.Email != "frida@example.com" {
			t.Errorf("%v, %v", me, err)
		}
		sessions, err := db.Sessions(ctx)
		if err != nil || len(sessions) != 1 {
			t.Errorf("%v, %v", sessions, err)
		}
		err = db.ChangePassword(ctx, "choose-a-good-one", "another-good-one")
		check(err)
		err = db.Logout(ctx) // at the server first, then here
		check(err)
		if _, err := db.Me(ctx); !errors.Is(err, client.ErrLoginRequired) {
			t.Errorf("after the logout: %v", err)
		}
	})

	t.Run("api key", func(t *testing.T) {
		db, err := client.New(url, auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		row, err := db.QueryRow(ctx, "CREATE API KEY worker")
		if err != nil {
			t.Fatal(err)
		}
		key := row.Text("key")
		worker, err := client.New(url, auth.Static(auth.JWT(key)), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer worker.Close()
		if me, err := worker.Me(ctx); err != nil || me.ID != "alice" {
			t.Errorf("%v, %v", me, err)
		}
	})

	t.Run("token", func(t *testing.T) {
		signedIn := http.StatusOK
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(signedIn)
			json.NewEncoder(w).Encode(map[string]string{"access_token": token(t, url)})
		}))
		defer app.Close()
		myApp := app.URL

		provider := auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
			req, err := http.NewRequestWithContext(ctx, "GET", myApp+"/api/auth/token", nil)
			if err != nil {
				return auth.Auth{}, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return auth.Auth{}, err // passes: the client asks again
			}
			defer resp.Body.Close()
			if resp.StatusCode == http.StatusForbidden {
				return auth.Auth{}, auth.Permanent(errors.New("signed out of my app"))
			}
			var in struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&in); err != nil {
				return auth.Auth{}, err
			}
			return auth.JWT(in.AccessToken), nil
		})

		shared := auth.NewCache(provider, auth.CacheOptions{})

		for _, p := range []auth.Provider{provider, shared} {
			db, err := client.New(url, p, client.Options{OnAuth: func(e client.AuthEvent) {
				switch e.State {
				case client.StateSignedIn:
				case client.StateOffline: // what there is stays; show that nothing new comes
				case client.StateSignedOut: // show the sign-in page
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Query(ctx, "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
		signedIn = http.StatusForbidden
		db, err := client.New(url, provider, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		_, err = db.Query(ctx, "SELECT 1")

		switch {
		case err == nil:
		case errors.Is(err, client.ErrLoginRequired): // a person has to sign in
		case errors.Is(err, client.ErrForbidden): // signed in, but not allowed
		case errors.Is(err, client.ErrRateLimited), errors.Is(err, client.ErrUnavailable): // try later
		}

		if !errors.Is(err, client.ErrLoginRequired) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("oauth2", func(t *testing.T) {
		config := &oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: "https://id.example.com/token"}}
		kept := &oauth2.Token{AccessToken: token(t, url)}

		db, err := client.New(url, oauth.Provider(config.TokenSource(ctx, kept)), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()

		api := &http.Client{Transport: oauth.Transport(db, oauth.TransportOptions{Origins: []string{"https://api.example.com"}})}

		me, err := api.Get(url + "/v1/api/auth/me")
		if err != nil || me.StatusCode != 200 {
			t.Fatalf("%v %v", me, err)
		}
		me.Body.Close()
	})

	t.Run("helpers", func(t *testing.T) {
		a := auth.Basic("alice", "Secret123!")
		fmt.Println(auth.IsBasic(a), auth.IsJWT(a), auth.IsAuthenticated(a)) // true false true
		fmt.Println(a)                                                       // basic(alice, [redacted])
		_, err := auth.Header(a)                                             // an error: a password is for the login only
		header, _ := auth.Header(auth.JWT("<token>"))                        // "Bearer <token>"

		if err == nil || header != "Bearer <token>" || strings.Contains(fmt.Sprint(a), "Secret") {
			t.Errorf("%v %q", err, header)
		}
	})
}

// token signs alice in and gives her access token.
func token(t *testing.T, url string) string {
	t.Helper()
	c, err := client.New(url, auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := c.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l.AccessToken
}
