package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const maxSubjectBytes = 255 // OpenID Connect Core 1.0, section 2

// openOther checks a token of another issuer: the signature with that issuer's own
// keys and algorithms, the audience, and that it is an access token.
func openOther(ctx context.Context, i *issuer.Issuer, token string, parsed *jwt.JSONWebToken) (*received, error) {
	header := parsed.Headers[0]
	known := false
	for _, alg := range i.Algs {
		known = known || header.Algorithm == string(alg)
	}
	if !known {
		return nil, refuse(reasonAlgorithm)
	}
	key, err := i.Key(ctx, header.KeyID, header.Algorithm, nil)
	if err != nil {
		return nil, refuseKey(err)
	}
	c := &received{other: i, sum: tokenSum(token)}
	var more struct {
		Audience jwt.Audience `json:"aud"`
	}
	err = parsed.Claims(key, c, &more, &c.all)
	if errors.Is(err, jose.ErrCryptoFailure) { // the issuer may have put another key under that id
		if key, err = i.Key(ctx, header.KeyID, header.Algorithm, key); err != nil {
			return nil, refuseKey(err)
		}
		err = parsed.Claims(key, c, &more, &c.all)
	}
	if err != nil {
		return nil, refuse(badClaims(err))
	}
	c.SessionID, c.Role = "", nil // these claims are ours only
	if c.Issuer != i.Options.Issuer || c.Subject == "" || len(c.Subject) > maxSubjectBytes || !utf8.ValidString(c.Subject) || c.ExpiresAt == nil {
		return nil, refuse(reasonClaims)
	}
	meant := false
	for _, audience := range i.Options.Audience {
		meant = meant || more.Audience.Contains(audience)
	}
	if !meant {
		return nil, refuse(reasonAudience)
	}
	typ, _ := header.ExtraHeaders["typ"].(string)
	if !i.Options.AcceptIDTokens && !isAccess(typ, c.all) || strings.Contains(strings.ToLower(typ), "refresh") {
		return nil, refuse(reasonType)
	}
	return c, nil
}

// refuseKey refuses a token whose issuer has no key for it. Other errors stay as
// they are.
func refuseKey(err error) error {
	switch err {
	case issuer.ErrKeyID:
		return refuse(reasonKeyID)
	case issuer.ErrNoKeyID:
		return refuse(reasonNoKeyID)
	case issuer.ErrReplaced:
		return refuse(reasonSignature)
	}
	return err
}

// isAccess tells an access token from an ID token, a refresh token and the
// like. The type at+jwt says so (RFC 9068); of the others, ID tokens have claims
// of their own, and some providers write down what it is.
func isAccess(typ string, claims map[string]any) bool {
	switch strings.ToLower(strings.TrimPrefix(strings.ToLower(typ), "application/")) {
	case "at+jwt":
		return true
	case "", "jwt":
	default:
		return false
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, ok := claims[name]; ok {
			return false
		}
	}
	for _, name := range []string{"token_use", "token_type", "typ"} {
		switch said, ok := claims[name]; said {
		case "access", "Bearer", "bearer", "at+jwt":
		default:
			if ok {
				return false
			}
		}
	}
	return true
}

// authData is how the issuer and subject of a user are stored.
func authData(issuer, subject string) string {
	out, _ := json.Marshal(struct {
		Issuer  string `json:"issuer"`
		Subject string `json:"subject"`
	}{issuer, subject})
	return string(out)
}

// findUserBySubject returns the user of another issuer's subject, dropped ones
// included, nil if there is none.
func findUserBySubject(tx *store.Tx, issuer, subject string) (*userRow, error) {
	id := ""
	err := tx.Query(selectUserByAuthData, []wire.Value{wire.TextValue(authData(issuer, subject))}, func(row []wire.Value) error {
		id = row[0].Text()
		return nil
	})
	if err != nil || id == "" {
		return nil, err
	}
	return findUser(tx, id)
}

// provision makes the user of a verified token of another issuer and returns
// their id, <alias>:<subject>.
func (s *Service) provision(ctx context.Context, c *received) (string, error) {
	u := &userRow{
		id: c.other.Options.Alias + ":" + c.Subject, authType: AuthOIDC, authData: authData(c.Issuer, c.Subject), role: roleOf(c.other, c.all),
	}
	if email, _ := c.all["email"].(string); c.all["email_verified"] == true && checkEmail(email) == nil {
		u.email = email
	}
	return Write(ctx, s, s.db, func(tx *store.Tx, trail *Trail) (string, error) {
		known, err := findUserBySubject(tx, c.Issuer, c.Subject)
		if err != nil {
			return "", err
		}
		if known != nil { // another request was faster
			return known.id, nil
		}
		u := *u
		name, bad := checkName(u.id)
		taken, err := findUser(tx, u.id)
		if err != nil {
			return "", err
		}
		if bad != nil || name != u.id || taken != nil { // the subject is no name, or looks like another one
			sum := sha256.Sum256([]byte(c.Subject))
			u.id = c.other.Options.Alias + ":sha256-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
		}
		u.createdAt = s.now()
		e := event{action: auditProvisioned, subject: u.id, method: AuthOIDC, addr: ClientOf(ctx).Addr, details: "issuer " + c.Issuer + ", role " + u.role}
		trail.add(e)
		return u.id, insertUserRow(tx, &u)
	})
}

// roleOf returns the highest role that the groups of a token are mapped to, or the
// issuer's default.
func roleOf(i *issuer.Issuer, claims map[string]any) string {
	best := i.Options.Role
	if i.Options.RoleClaim == "" {
		return best
	}
	var at any = claims
	for _, name := range strings.Split(i.Options.RoleClaim, ".") {
		inner, _ := at.(map[string]any)
		at = inner[name]
	}
	if whole, ok := claims[i.Options.RoleClaim]; ok { // names like https://example.com/roles
		at = whole
	}
	var groups []string
	switch v := at.(type) {
	case string:
		groups = append(strings.Fields(v), v)
	case []any:
		for _, g := range v {
			if text, ok := g.(string); ok {
				groups = append(groups, text)
			}
		}
	case map[string]any: // some providers make the groups keys
		for g := range v {
			groups = append(groups, g)
		}
	}
	rank := map[string]int{RoleUser: 0, RoleService: 1, RoleDBA: 2}
	for _, g := range groups {
		if role, ok := i.Options.Roles[g]; ok && rank[role] > rank[best] {
			best = role
		}
	}
	return best
}

// checkRoles completes the roles that an issuer's users may get, and refuses
// those that they may not have.
func checkRoles(o *issuer.Options) (err error) {
	if o.Role == "" {
		o.Role = RoleUser
	}
	role := func(word string) (string, error) {
		role, ok := ParseRole(word)
		if !ok || role == RoleSystem {
			return "", fmt.Errorf("issuer %s: %q is no role that users of another issuer may have", o.Issuer, word)
		}
		return role, nil
	}
	if o.Role, err = role(o.Role); err != nil {
		return err
	}
	roles := make(map[string]string, len(o.Roles))
	for group, word := range o.Roles {
		if roles[group], err = role(word); err != nil {
			return err
		}
	}
	o.Roles = roles
	return nil
}

// Option is a way to sign in that a server offers.
type Option struct {
	Alias, Name, Issuer, ClientID string
	Audience, Algorithms          []string // that its tokens need one of
}

// SignIn says how one can sign in: whether with a password, and the issuers.
func (s *Service) SignIn() (password bool, others []Option) {
	for _, o := range s.options.Issuers {
		i := s.issuers[o.Issuer].Options
		others = append(others, Option{i.Alias, i.Name, i.Issuer, i.ClientID, i.Audience, i.Algorithms})
	}
	return !s.options.NoPasswordLogin, others
}
