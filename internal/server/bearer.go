package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// bearer returns the token of the Authorization header; any other scheme, Basic
// above all, is refused without a look at what follows.
func bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", wire.NewError(wire.CodeMissingAuthorization, "Authentication required")
	case len(values) > 1:
		return "", wire.NewError(wire.CodeInvalidInput, "the request has more than one Authorization header")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials")
	}
	return strings.TrimSpace(token), nil
}

// principal is who sends a request, by its bearer token.
func (s *Server) principal(r *http.Request) (*identity.Principal, error) {
	token, err := bearer(r)
	if err != nil {
		return nil, err
	}
	return s.users.Verify(r.Context(), token)
}

// person is principal for requests about accounts, sessions and passwords. An API
// key is refused, so that whoever finds one cannot make more of it.
func (s *Server) person(r *http.Request) (*identity.Principal, error) {
	who, err := s.principal(r)
	if err == nil && who.Scope != nil {
		err = wire.NewError(wire.CodePermissionDenied, "an API key cannot do this: sign in")
	}
	return who, err
}

// writeBearerError answers a bearer failure as protocol 1.0.9 says. The code
// tells what to do, the message nothing.
func (s *Server) writeBearerError(w http.ResponseWriter, err error) {
	e := &wire.Error{Code: "AUTHENTICATION_ERROR", Message: "Authentication failed"}
	status := http.StatusInternalServerError
	var coded *wire.Error
	if errors.As(err, &coded) {
		switch coded.Code {
		case wire.CodeMissingAuthorization, wire.CodeTokenExpired, wire.CodeInvalidCredentials, wire.CodeSetupRequired:
			e, status = coded, http.StatusUnauthorized
		case wire.CodeInvalidInput:
			e, status = coded, http.StatusBadRequest
		case wire.CodeUnavailable:
			e, status = coded, http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "5")
		}
	} else {
		s.options.Logger.Error("verify a token", "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header()["Www-Authenticate"] = challenge
		if e.Code != wire.CodeMissingAuthorization {
			w.Header()["Www-Authenticate"] = challengeInvalid
		}
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, status, wire.AppendResponse(nil, &wire.Response{Err: e}))
}
