package client

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/wire"
)

// What an error is about, for errors.Is. An answer of the server is a
// *wire.Error as well, for errors.As.
var (
	// ErrUnauthenticated: the server does not accept who we say we are.
	ErrUnauthenticated = errors.New("not signed in")
	// ErrTokenExpired: the server refused a token because its time is over. It
	// is an ErrUnauthenticated too.
	ErrTokenExpired = errors.New("token expired")
	// ErrSessionEnded: the session was ended at the server, by a logout, a new
	// password or an administrator. It is an ErrUnauthenticated too.
	ErrSessionEnded = errors.New("session ended")
	// ErrLoginRequired: nothing that the client has or can get by itself is good
	// any more; a person has to sign in. It is an ErrUnauthenticated too.
	ErrLoginRequired = errors.New("sign in again")
	// ErrForbidden: signed in, but not allowed to do this.
	ErrForbidden = errors.New("not allowed")
	// ErrRateLimited: too many requests; try later.
	ErrRateLimited = errors.New("too many requests")
	// ErrUnavailable: the server, the network or the provider of credentials
	// did not answer as it should; trying again may help.
	ErrUnavailable = errors.New("server not available")
	// ErrNotKalamDB: something else answered, as the sign-in page of a network.
	// It is an ErrUnavailable too, since that may pass.
	ErrNotKalamDB = errors.New("what answers is not KalamDB")
	// ErrVersion: the server does not know what this client asks for: one of the
	// two is too old.
	ErrVersion = errors.New("the server is of another version")
	// ErrInsecureTransport: credentials would leave the machine in the clear.
	ErrInsecureTransport = errors.New("credentials need https or a loopback host; Options.AllowInsecureCredentials overrides this")
	// ErrIdentityChanged: the provider came back as another user, so the live
	// queries of the former one have ended.
	ErrIdentityChanged = errors.New("signed in as another user")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client is closed")
	// ErrProvider: the provider of credentials failed. It is an ErrUnavailable
	// too when that may pass, else an ErrUnauthenticated.
	ErrProvider = errors.New("no credentials")
	// ErrProviderTimeout: the provider did not answer in time. It is an
	// ErrProvider too.
	ErrProviderTimeout = errors.New("the provider of credentials did not answer in time")
	// ErrDisconnected: Disconnect was called.
	ErrDisconnected = errors.New("disconnected")
	// ErrNoRows: a query that must give a row gave none.
	ErrNoRows = errors.New("no rows")
	// ErrReentrant: a provider called the client that is waiting for it.
	ErrReentrant = errors.New("the provider called the client that waits for it")
)

// failure is an error of a class, or of several, with what caused it.
type failure struct {
	text    string // what went wrong, before its cause
	cause   error
	classes []error
	final   bool // asking again with the same credentials is of no use
	status  int  // of the HTTP answer, 0 when there was none
}

// Error returns the text and the cause, or the cause alone if there is no text.
func (f *failure) Error() string {
	cause := ""
	switch {
	case f.cause != nil:
		cause = f.cause.Error()
	case len(f.classes) > 0:
		cause = f.classes[0].Error()
	}
	if f.text == "" {
		return cause
	}
	return f.text + ": " + cause
}

// Unwrap gives the classes and the cause.
func (f *failure) Unwrap() []error {
	if f.cause == nil {
		return f.classes
	}
	return append([]error{f.cause}, f.classes...)
}

// unavailable makes a passing failure.
func unavailable(text string, cause error) error {
	return &failure{text: text, cause: cause, classes: []error{ErrUnavailable}}
}

// noAnswer makes an error of a request that got none.
func (c *Client) noAnswer(cause error) error {
	return unavailable("no answer from "+c.endpoint.http, cause)
}

// notOurs makes an error of an answer that is not one of KalamDB. It may pass,
// as the sign-in page of a network does, and never ends a session.
func (c *Client) notOurs(status int) error {
	text := c.endpoint.http + " answered with status " + itoa(status)
	if status >= 500 {
		return &failure{text: text, classes: []error{ErrUnavailable}, status: status}
	}
	text += ", but not as KalamDB does: check the url, and whether a proxy or the sign-in page of a network is in between"
	return &failure{text: text, classes: []error{ErrNotKalamDB, ErrUnavailable}, status: status}
}

// otherVersion makes an error of a KalamDB server that does not know a route.
func (c *Client) otherVersion(status int) error {
	text := "the server at " + c.endpoint.http + " does not know the route: update it or this client, whichever is older"
	return &failure{text: text, classes: []error{ErrVersion}, status: status, final: true}
}

// isFinal reports whether err will not pass by itself.
func isFinal(err error) bool {
	var f *failure
	if errors.As(err, &f) && f.final {
		return true
	}
	return errors.Is(err, ErrClosed) || errors.Is(err, ErrInsecureTransport) || errors.Is(err, ErrReentrant)
}

// cutOff reports whether err may be one of a call that Close has ended, and not
// an answer.
func cutOff(err error) bool {
	return err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable))
}

// classify gives an answer of the server its classes. Status is the HTTP
// status, 0 for a frame of the socket.
func classify(status int, e *wire.Error) error {
	var classes []error
	switch e.Code {
	case wire.CodeTokenExpired:
		classes = []error{ErrTokenExpired, ErrUnauthenticated}
	case wire.CodeMissingAuthorization, wire.CodeInvalidCredentials, wire.CodeSetupRequired,
		wire.CodeAuthRequired, wire.CodeAuthTimeout:
		classes = []error{ErrUnauthenticated}
	case wire.CodeSessionEnded:
		classes = []error{ErrSessionEnded, ErrUnauthenticated}
	case wire.CodePermissionDenied, wire.CodeUnauthorized:
		classes = []error{ErrForbidden}
	case wire.CodeRateLimited, "RATE_LIMITED":
		classes = []error{ErrRateLimited}
	case wire.CodeUnavailable, wire.CodeDatabaseUnavailable:
		classes = []error{ErrUnavailable}
	case wire.CodeIdentityChanged:
		classes = []error{ErrIdentityChanged}
	}
	if classes == nil {
		switch {
		case status == 401 || status == 428:
			classes = []error{ErrUnauthenticated}
		case status == 403:
			classes = []error{ErrForbidden}
		case status == 429:
			classes = []error{ErrRateLimited}
		case status >= 500:
			classes = []error{ErrUnavailable}
		}
	}
	return &failure{cause: e, classes: classes, status: status}
}

// Codes of errors that are not an answer of the server, as Describe gives them.
const (
	CodeInsecureTransport wire.Code = "INSECURE_TRANSPORT"
	CodeClosed            wire.Code = "CLIENT_CLOSED"
	CodeDisconnected      wire.Code = "DISCONNECTED"
	CodeReentrant         wire.Code = "REENTRANT_CALL"
	CodeUnauthenticated   wire.Code = "UNAUTHENTICATED"
	CodeProviderFailed    wire.Code = "PROVIDER_FAILED"
	CodeProviderTimeout   wire.Code = "PROVIDER_TIMEOUT"
	CodeNotKalamDB        wire.Code = "NOT_KALAMDB"
	CodeVersion           wire.Code = "VERSION_MISMATCH"
	CodeTimeout           wire.Code = "TIMEOUT"
	CodeCanceled          wire.Code = "CANCELED"
)

// Description is an error taken apart, for bindings to languages that have no
// errors.Is.
type Description struct {
	Code      wire.Code   // of the server, or one of this package
	Message   string      // the error's text
	Status    int         // HTTP status of the answer; 0 when there was none
	Retryable bool        // the same call may succeed later
	Answer    *wire.Error // what the server said, if it is that
}

// Describe takes an error of this package apart.
func Describe(err error) Description {
	d := Description{Message: err.Error()}
	var f *failure
	for e := err; errors.As(e, &f); e = f.cause {
		d.Status = max(d.Status, f.status)
		if f.cause == nil {
			break
		}
	}
	d.Retryable = errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited)
	switch {
	case errors.As(err, &d.Answer) && d.Answer.Code != "":
		d.Code = d.Answer.Code
	case errors.Is(err, ErrInsecureTransport):
		d.Code = CodeInsecureTransport
	case errors.Is(err, ErrReentrant):
		d.Code = CodeReentrant
	case errors.Is(err, ErrProviderTimeout):
		d.Code = CodeProviderTimeout
	case errors.Is(err, ErrProvider):
		d.Code = CodeProviderFailed
	case errors.Is(err, ErrNotKalamDB):
		d.Code = CodeNotKalamDB
	case errors.Is(err, ErrVersion):
		d.Code = CodeVersion
	case errors.Is(err, ErrClosed):
		d.Code = CodeClosed
	case errors.Is(err, ErrDisconnected):
		d.Code = CodeDisconnected
	case errors.Is(err, ErrIdentityChanged):
		d.Code = wire.CodeIdentityChanged
	case errors.Is(err, ErrUnauthenticated):
		d.Code = CodeUnauthenticated
	case errors.Is(err, ErrUnavailable):
		d.Code = wire.CodeUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		d.Code, d.Retryable = CodeTimeout, true
	case errors.Is(err, context.Canceled):
		d.Code = CodeCanceled
	default:
		d.Code = wire.CodeInvalidInput
	}
	return d
}
