package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/kalamdb/kalam-go/client"
)

// audience is the claim aud: a text or a list.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// whyForeign looks for the rule that refused a token of another issuer than the
// server. It asks the issuer for its keys only when the server trusts it.
func (d *doctor) whyForeign(ctx context.Context, c *claims, token string, now time.Time) string {
	var trusted *client.TrustedIssuer
	names := []string{}
	for i, o := range d.issuers {
		names = append(names, o.Issuer)
		switch {
		case o.Issuer == c.Issuer:
			trusted = &d.issuers[i]
		case strings.EqualFold(strings.TrimSuffix(o.Issuer, "/"), strings.TrimSuffix(c.Issuer, "/")):
			return fmt.Sprintf("its issuer is %q, and the server trusts %q: in [[auth.issuers]] it must stand exactly as in the token", c.Issuer, o.Issuer)
		}
	}
	if trusted == nil {
		if len(names) == 0 {
			return fmt.Sprintf("its issuer is %q, and the server trusts no issuer but itself: add it to [[auth.issuers]]. A token that an application makes with the server's secret has the issuer kalamdb", c.Issuer)
		}
		return fmt.Sprintf("its issuer is %q, and the server trusts %s: add it to [[auth.issuers]]", c.Issuer, strings.Join(names, ", "))
	}
	switch {
	case !slices.Contains(trusted.Algorithms, c.Algorithm):
		return fmt.Sprintf("it is signed with %s, and the server takes %s of this issuer: algorithms in [[auth.issuers]]", c.Algorithm, strings.Join(trusted.Algorithms, ", "))
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(trusted.Audience, a) }):
		return fmt.Sprintf("it is for the audience %q, and the server is %q: ask the issuer for a token for that audience, or change audience in [[auth.issuers]]", []string(c.Audience), trusted.Audience)
	case c.Subject == "" || c.ExpiresAt == 0:
		return "it has no sub or no exp"
	}
	if problem := d.signature(ctx, c, token); problem != "" {
		return problem
	}
	switch {
	case c.Type != "at+jwt" && c.Type != "application/at+jwt" && (c.Nonce || c.Type != "JWT" && c.Type != ""):
		return "it is no access token: an ID token, or of type " + c.Type + "; use the access token that comes with it"
	case c.NotBefore > now.Add(time.Minute).Unix():
		return "it is not yet good by the server's clock (nbf): set the clock where it is made"
	}
	return "its signature, audience and times are good. The user " + c.Subject + " is not there, and auto_provision is off; or is disabled, or was dropped; or the token was logged out; or it is an ID token"
}

// signature checks a token with the keys of its issuer, as seen from here.
func (d *doctor) signature(ctx context.Context, c *claims, token string) string {
	var meta struct {
		URI string `json:"jwks_uri"`
	}
	if err := fetchJSON(ctx, strings.TrimSuffix(c.Issuer, "/")+"/.well-known/openid-configuration", &meta); err != nil {
		d.note("keys", "the keys of %s cannot be read from here (%v): can the server read them?", c.Issuer, err)
		return ""
	}
	var set jose.JSONWebKeySet
	if err := fetchJSON(ctx, meta.URI, &set); err != nil {
		d.note("keys", "the keys of %s cannot be read from here (%v): can the server read them?", c.Issuer, err)
		return ""
	}
	fitting := set.Keys
	if c.KeyID != "" {
		fitting = set.Key(c.KeyID)
	}
	switch {
	case len(fitting) == 0 && len(set.Keys) != 1:
		return "it names the key " + c.KeyID + ", which is not in the issuer's key set"
	case c.KeyID == "" && len(fitting) > 1:
		return "it names no key, and its issuer has several: the issuer must write kid into its tokens"
	case len(fitting) == 0:
		fitting = set.Keys
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.Algorithm)})
	if err != nil {
		return "it is no JWT that can be read"
	}
	for _, k := range fitting {
		if _, err := parsed.Verify(k.Key); err == nil {
			d.ok("keys", "the signature is of a key of %s", c.Issuer)
			return ""
		}
	}
	return "its signature is not of the issuer's key " + orNone(c.KeyID)
}

// fetchJSON reads a document of an issuer of tokens.
func fetchJSON(ctx context.Context, url string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
}
