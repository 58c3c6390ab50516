// Package account lets people have an account without an administrator: they
// sign up, prove an address by a code, set a new password, sign in by a code,
// begin without a name and take one later, and are invited.
//
// One flow: a request asks for a code; a transaction stores its hash and queues
// the mail; whoever redeems the code has proved the address, and gets the
// account, the session or the change that the code was about. What is answered
// before that is the same for addresses that are known and those that are not.
//
// The package holds no sessions and no passwords (package identity does) and
// sends nothing (package mail does).
package account

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Who may create an account.
const (
	SignUpClosed = "closed"
	SignUpInvite = "invite"
	SignUpOpen   = "open"
)

// Codes of failures beside those of package identity. The server turns them into
// the words of its routes.
const (
	CodeSignUpClosed = wire.CodeSignUpClosed
	CodeInvalidCode  = wire.CodeInvalidCode
	CodeAddressTaken = wire.CodeAddressTaken
	CodeNoMail       = wire.CodeNoMail
)

// Options configure a Service.
type Options struct {
	SignUp           string   // SignUpClosed, SignUpInvite or SignUpOpen; default closed
	WithoutEmail     bool     // people sign up with a user name and a password alone
	Anonymous        bool     // accounts without a name
	AnonymousDays    int      // that nobody has used for so long are removed, with their rows; default 30
	MailsPerHour     int      // to one address; default 10, 5 of them at once
	AllowedRedirects []string // origins that links may lead back to
	PublicOrigin     string   // where links in mails point, "" for none
	Now              func() time.Time
	Logger           *slog.Logger
}

// burst is how many mails an address gets at once.
const burst = 5

// Service makes and changes accounts. It is safe for concurrent use.
type Service struct {
	db      *store.DB
	users   *identity.Service
	mail    *mail.Service
	options Options
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// New makes a service on what it works with; Close ends it.
func New(db *store.DB, users *identity.Service, m *mail.Service, o Options) *Service {
	o.SignUp = cmp.Or(o.SignUp, SignUpClosed)
	o.MailsPerHour = cmp.Or(o.MailsPerHour, 10)
	o.AnonymousDays = cmp.Or(o.AnonymousDays, 30)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{db: db, users: users, mail: m, options: o}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.done.Go(func() { s.expire(ctx) })
	return s
}

// Offer says how one can have an account here, for clients that ask.
type Offer struct {
	SignUp    string
	Email     bool // sign-up needs an address
	Anonymous bool
}

// Offer returns what the server offers.
func (s *Service) Offer() Offer {
	return Offer{SignUp: s.options.SignUp, Email: !s.options.WithoutEmail, Anonymous: s.options.Anonymous}
}

// newID makes the id of a new account.
func newID() string { return "usr_" + ulid.Make().String() }

func errClosed() error {
	return wire.NewError(CodeSignUpClosed, "sign-up is closed: an administrator creates users, or sends an invitation")
}

func errNoMail() error {
	return wire.NewError(CodeNoMail, "this server sends no mails: set [mail] smtp in its configuration")
}

// redirect checks where a link may lead back to.
func (s *Service) redirect(to string) error {
	if to == "" {
		return nil
	}
	u, err := url.Parse(to)
	if err == nil && u.User == nil && u.Host != "" && slices.Contains(s.options.AllowedRedirects, u.Scheme+"://"+strings.ToLower(u.Host)) {
		return nil
	}
	return wire.NewError(wire.CodeInvalidInput, "redirect_to must begin with one of the origins in auth.accounts.allowed_redirects")
}
