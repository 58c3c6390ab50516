package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// maxAuthBody is the largest body of an auth request.
const maxAuthBody = 16 << 10

// login answers POST /v1/api/auth/login: the one place that takes a password.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if !s.mayTry(w, r, s.logins) || !s.mayCarrySecrets(w, r) {
		return
	}
	body, ok := s.authBody(w, r)
	if !ok {
		return
	}
	in, bad := wire.DecodeLoginRequest(body)
	if bad != nil {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", bad.Message)
		return
	}
	g, err := s.users.Login(r.Context(), in.User, in.Password, s.clientAddr(r))
	if before, missing := bearer(r); err == nil && missing == nil {
		s.users.Logout(r.Context(), before) // who signs in again leaves the session they present
	}
	s.writeGrant(w, r, g, err)
}

// refresh answers POST /v1/api/auth/refresh.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	if !s.mayTry(w, r, s.refreshes) || !s.mayCarrySecrets(w, r) {
		return
	}
	token, err := s.credential(r)
	var g *identity.Grant
	if err == nil {
		g, err = s.users.Refresh(r.Context(), token, s.clientAddr(r))
	}
	s.writeGrant(w, r, g, err)
}

// logout answers POST /v1/api/auth/logout: it ends the session of the token
// that it is given, and says the same whatever that was.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	token, err := s.credential(r)
	if err == nil {
		err = s.users.Logout(r.Context(), token)
	}
	var coded *wire.Error
	if err != nil && (!errors.As(err, &coded) || coded.Code == wire.CodePermissionDenied) {
		s.writeAuthFailure(w, err)
		return
	}
	if len(r.Cookies()) > 0 {
		s.keepSession(w, r, nil)
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, []byte(`{"message":"Logged out successfully"}`))
}

// me answers GET /v1/api/auth/me.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	who, err := s.principal(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	s.writeUser(w, r, who.UserID)
}

// writeUser answers with a user as they may know themselves.
func (s *Server) writeUser(w http.ResponseWriter, r *http.Request, id string) {
	u, err := s.users.User(r.Context(), id)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	b := append([]byte(nil), `{"user":`...)
	b = wire.AppendLoginUser(b, loginUser(u))
	if identity.IsAdminRole(u.Role) {
		b = append(b, `,"admin_ui_access":true}`...)
	} else {
		b = append(b, `,"admin_ui_access":false}`...)
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, b)
}

// status answers GET /v1/api/auth/status.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	if !s.maySetup(w, r) {
		return
	}
	needed, err := s.users.NeedsSetup(r.Context())
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	body := `{"needs_setup":false,"message":"The server is set up"}`
	if needed {
		body = `{"needs_setup":true,"message":"The server needs its initial setup: run kalam setup"}`
	}
	writeJSON(w, http.StatusOK, []byte(body))
}

// setup answers POST /v1/api/auth/setup.
func (s *Server) setup(w http.ResponseWriter, r *http.Request) {
	if !s.mayTry(w, r, s.setups) || !s.maySetup(w, r) || !s.mayCarrySecrets(w, r) {
		return
	}
	body, ok := s.authBody(w, r)
	if !ok {
		return
	}
	var in struct {
		User         string  `json:"user"`
		Username     string  `json:"username"`
		Password     string  `json:"password"`
		RootPassword string  `json:"root_password"`
		Email        *string `json:"email"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", "the body is not a JSON object with user, password and root_password")
		return
	}
	if in.User == "" {
		in.User = in.Username
	}
	email := ""
	if in.Email != nil {
		email = *in.Email
	}
	u, err := s.users.Setup(r.Context(), in.User, in.Password, in.RootPassword, email)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	b := append([]byte(nil), `{"user":`...)
	b = wire.AppendLoginUser(b, loginUser(u))
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, append(b, `,"message":"Setup is complete; sign in with the new user"}`...))
}

// mayTry takes one of the attempts of a kind that an address has.
func (s *Server) mayTry(w http.ResponseWriter, r *http.Request, kind *limiter) bool {
	if kind.allow(identity.NetworkOf(s.clientAddr(r))) {
		return true
	}
	w.Header().Set("Retry-After", "1")
	writeAuthError(w, http.StatusTooManyRequests, "rate_limited", "Too many authentication attempts; wait a second")
	return false
}

func (s *Server) maySetup(w http.ResponseWriter, r *http.Request) bool {
	if s.options.AllowRemoteSetup || isLocal(r) && !s.viaProxy(r) && isOwnUser(r) {
		return true
	}
	writeAuthError(w, http.StatusForbidden, "forbidden", "setup is possible on the server's own machine only, as the user that runs the server or as root, and not through a proxy")
	return false
}

func (s *Server) authBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if !isJSON(r) {
		writeAuthError(w, http.StatusUnsupportedMediaType, "invalid_request", "the request needs Content-Type: application/json")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAuthBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeAuthError(w, http.StatusRequestEntityTooLarge, "invalid_request", "the request body is too large")
		return nil, false
	case err != nil:
		w.Header().Set("Connection", "close")
		writeAuthError(w, http.StatusRequestTimeout, "request_timeout", "the request body did not come in time")
		return nil, false
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // of hurry
	return body, true
}

func (s *Server) writeGrant(w http.ResponseWriter, r *http.Request, g *identity.Grant, err error) {
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	s.writeNewSession(w, r, http.StatusOK, g, nil)
}

func loginResponse(g *identity.Grant) *wire.LoginResponse {
	return &wire.LoginResponse{
		User: *loginUser(g.User), AdminUIAccess: identity.IsAdminRole(g.User.Role),
		ExpiresAt: timestamp(g.ExpiresAt), AccessToken: g.AccessToken,
		RefreshToken: g.RefreshToken, RefreshExpiresAt: timestamp(g.RefreshExpiresAt),
	}
}

func loginUser(u *identity.User) *wire.LoginUser {
	return &wire.LoginUser{
		ID: u.ID, Role: u.Role, Email: u.Email, HasEmail: u.Email != "", Verified: u.Verified, Name: u.Name,
		Anonymous: u.AuthType == identity.AuthAnonymous,
		CreatedAt: timestamp(u.CreatedAt), UpdatedAt: timestamp(u.UpdatedAt),
	}
}

// timestamp is RFC 3339 with a numeric offset, as existing clients read it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999-07:00") }

// writeAuthFailure answers as protocol 1.0.10 says.
func (s *Server) writeAuthFailure(w http.ResponseWriter, err error) {
	var throttled *identity.ThrottledError
	if errors.As(err, &throttled) {
		w.Header().Set("Retry-After", strconv.Itoa(throttled.Seconds()))
		writeAuthError(w, http.StatusTooManyRequests, "rate_limited", throttled.Error())
		return
	}
	if errors.Is(err, context.Canceled) {
		writeAuthError(w, http.StatusServiceUnavailable, "busy", "the request was cancelled") // nobody reads it
		return
	}
	var e *wire.Error
	if !errors.As(err, &e) {
		s.options.Logger.Error("authentication", "error", err)
		writeAuthError(w, http.StatusInternalServerError, "internal_error", "Authentication failed")
		return
	}
	as, message := fault.AnswerOf(fault.Auth, e.Code), e.Message
	switch {
	case e.Code == wire.CodeSetupRequired:
		message = "Server requires initial setup: run kalam setup on its machine"
	case e.Code == wire.CodeUnavailable:
		w.Header().Set("Retry-After", "1")
	case as.Status == http.StatusUnauthorized && e.Code != wire.CodeMissingAuthorization:
		w.Header()["Www-Authenticate"] = challengeInvalid
		if e.Code != wire.CodeInvalidCredentials {
			message = "Invalid credentials"
		}
	}
	writeAuthError(w, as.Status, string(as.Code), message)
}
