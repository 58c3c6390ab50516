package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/kalamdb/kalam-go/auth"
)

func Example() {
	fmt.Println(auth.Basic("user", "password")) // prints no secret
	fmt.Println(auth.JWT("<token>"))
	// Output:
	// basic(user, [redacted])
	// jwt([redacted])
}

func ExampleHeader() {
	h, err := auth.Header(auth.JWT("<token>"))
	fmt.Println(h, err)
	_, err = auth.Header(auth.Basic("user", "password"))
	fmt.Println(err != nil)
	// Output:
	// Bearer <token> <nil>
	// true
}

// With single sign-on the provider fetches a fresh token from an endpoint of
// the application.
func ExampleProviderFunc() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"access_token":"fresh"}`))
	}))
	defer app.Close()

	provider := auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", app.URL+"/api/auth/token", nil)
		if err != nil {
			return auth.Auth{}, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return auth.Auth{}, err
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusForbidden {
			return auth.Auth{}, auth.Permanent(fmt.Errorf("signed out"))
		}
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return auth.Auth{}, err
		}
		return auth.JWT(answer.AccessToken), nil
	})

	a, err := provider.Auth(context.Background())
	fmt.Println(a.Reveal(), err)
	// Output: fresh <nil>
}
