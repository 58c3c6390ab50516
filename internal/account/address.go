package account

import (
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// The limits of RFC 5321, section 4.5.3.1.
const (
	maxLocal   = 64
	maxAddress = 254
	maxLabel   = 63
	maxName    = 128 // bytes of what people are called
)

// checkAddress refuses what no mail can be sent to, and returns an address
// without spaces around it. Of what RFC 5322 allows it takes the forms that
// people have: no comments, no quotes, no domain literals.
func checkAddress(address string) (string, error) {
	address = strings.TrimSpace(address)
	refuse := func(why string) (string, error) {
		return "", wire.NewError(wire.CodeInvalidInput, "the e-mail address ", why)
	}
	local, domain, ok := strings.Cut(address, "@")
	switch {
	case address == "":
		return refuse("is missing")
	case !utf8.ValidString(address), strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Cf) }):
		return refuse("contains characters that an address cannot have")
	case len(address) > maxAddress, len(local) > maxLocal:
		return refuse("is too long")
	case !ok, local == "", domain == "", strings.Contains(domain, "@"):
		return refuse("must have the form name@example.com")
	case strings.ContainsAny(address, `"(),:;<>[\]`):
		return refuse("contains characters that an address cannot have")
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address {
		return refuse("must have the form name@example.com")
	}
	if !isDomain(domain) {
		return refuse("has no valid domain")
	}
	return address, nil
}

// isDomain reports whether a text is the name of a host: localhost, or labels
// of 63 bytes at most of which the last one is no number (RFC 1035, RFC 3696), so
// that no IP address is one.
func isDomain(domain string) bool {
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return false
	}
	labels := strings.Split(ascii, ".")
	if slices.ContainsFunc(labels, func(l string) bool { return l == "" || len(l) > maxLabel }) {
		return false
	}
	last := labels[len(labels)-1]
	return ascii == "localhost" || len(labels) > 1 && strings.Trim(last, "0123456789") != ""
}

// checkName refuses what people cannot be called.
func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) }) {
		return "", wire.NewError(wire.CodeInvalidInput, "the name has ", "128 bytes at most, in one line")
	}
	return name, nil
}

// checkUserName refuses a user name that cannot be told from an id or an
// address.
func checkUserName(name string) (string, error) {
	name, err := identity.CheckUserName(name)
	if err == nil && (strings.Contains(name, "@") || strings.HasPrefix(strings.ToLower(name), "usr_")) {
		err = wire.NewError(identity.CodeInvalidUser, "the user name must neither contain an @ nor begin with usr_")
	}
	return name, err
}
