package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

var codeSent = map[string]string{"status": "code_sent"}

// accountRequest is the body of a request about an account. Each route reads the
// fields that it knows.
type accountRequest struct {
	Email      string  `json:"email"`
	User       string  `json:"user"`
	Password   string  `json:"password"`
	Name       string  `json:"name"`
	Invite     string  `json:"invite"`
	RedirectTo string  `json:"redirect_to"`
	Purpose    string  `json:"purpose"`
	Code       string  `json:"code"`
	Role       string  `json:"role"`
	ExpiresIn  float64 `json:"expires_in"` // seconds
}

// accountBody admits a request about an account and reads its body.
func (s *Server) accountBody(w http.ResponseWriter, r *http.Request, bucket *limiter) (in accountRequest, ok bool) {
	if !s.mayAsk(w, r, bucket) || !s.mayCarrySecrets(w, r) {
		return in, false
	}
	body, ok := s.authBody(w, r)
	if !ok {
		return in, false
	}
	if err := json.Unmarshal(body, &in); err != nil {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", "the body is not a JSON object of texts: "+jsonMistake(err))
		return in, false
	}
	return in, true
}

// jsonMistake says what is wrong with a body without showing what it holds.
func jsonMistake(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok && e.Field != "" {
		return e.Field + " must be a " + e.Type.String()
	}
	return "it cannot be parsed"
}

// mayAsk takes one of the requests that a network has in a bucket.
func (s *Server) mayAsk(w http.ResponseWriter, r *http.Request, bucket *limiter) bool {
	if bucket.allow(identity.NetworkOf(s.clientAddr(r))) {
		return true
	}
	w.Header().Set("Retry-After", "1")
	writeAuthError(w, http.StatusTooManyRequests, "rate_limited", "Too many requests about accounts; wait a second")
	return false
}

// flow is the flow of the browser that asks, a new one if it has none.
func (s *Server) flow(w http.ResponseWriter, r *http.Request) account.Flow {
	f := account.Flow(s.cookie(r, flowCookie))
	if f == "" {
		f = account.NewFlow()
	}
	s.setCookie(w, r, flowCookie, string(f), time.Now().Add(time.Hour))
	return f
}

func (s *Server) signUp(w http.ResponseWriter, r *http.Request) {
	in, ok := s.accountBody(w, r, s.signups)
	if !ok {
		return
	}
	if in.User != "" || in.Email == "" && !s.accounts.Offer().Email {
		g, err := s.accounts.SignUpNamed(r.Context(), in.User, in.Password, in.Invite, s.clientAddr(r))
		s.writeNewSession(w, r, http.StatusCreated, g, err)
		return
	}
	err := s.accounts.SignUp(r.Context(), account.SignUp{
		Email: in.Email, Password: in.Password, Name: in.Name, Invite: in.Invite, RedirectTo: in.RedirectTo,
		Addr: s.clientAddr(r), Flow: s.flow(w, r),
	})
	s.writeCodeSent(w, err)
}

func (s *Server) sendCode(w http.ResponseWriter, r *http.Request) {
	in, ok := s.accountBody(w, r, s.signups)
	if !ok {
		return
	}
	s.writeCodeSent(w, s.accounts.SendCode(r.Context(), in.Email, in.Purpose, in.RedirectTo, s.flow(w, r)))
}

func (s *Server) writeCodeSent(w http.ResponseWriter, err error) {
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	writeAuthStatus(w, http.StatusAccepted, codeSent)
}

func (s *Server) redeemCode(w http.ResponseWriter, r *http.Request) {
	in, ok := s.accountBody(w, r, s.redeems)
	if !ok {
		return
	}
	var who *identity.Principal
	if len(r.Header["Authorization"]) > 0 {
		var err error
		if who, err = s.person(r); err != nil {
			s.writeAuthFailure(w, err)
			return
		}
	}
	g, err := s.accounts.Redeem(r.Context(), account.Redemption{
		Email: in.Email, Code: in.Code, Purpose: in.Purpose, Password: in.Password, Who: who, Addr: s.clientAddr(r),
	})
	if err == nil && g == nil { // the session of who goes on
		s.writeUser(w, r, who.UserID)
		return
	}
	s.writeNewSession(w, r, http.StatusOK, g, err)
}

func (s *Server) anonymous(w http.ResponseWriter, r *http.Request) {
	if !s.mayAsk(w, r, s.signups) || !s.mayCarrySecrets(w, r) {
		return
	}
	// A form of another site must not exchange the session of a browser. It can
	// post neither JSON nor from this origin.
	if !isJSON(r) && !s.ownPage(r) {
		writeAuthError(w, http.StatusUnsupportedMediaType, "invalid_request", "the request needs Content-Type: application/json")
		return
	}
	g, err := s.accounts.Anonymous(r.Context(), s.clientAddr(r))
	s.writeNewSession(w, r, http.StatusCreated, g, err)
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	in, ok := s.accountBody(w, r, s.signups)
	if !ok {
		return
	}
	if in.User != "" {
		if err := s.accounts.UpgradeNamed(r.Context(), who, in.User, in.Password, s.clientAddr(r)); err != nil {
			s.writeAuthFailure(w, err)
			return
		}
		s.writeUser(w, r, who.UserID)
		return
	}
	s.writeCodeSent(w, s.accounts.Upgrade(r.Context(), who, account.SignUp{
		Email: in.Email, Password: in.Password, Name: in.Name, RedirectTo: in.RedirectTo, Addr: s.clientAddr(r), Flow: s.flow(w, r),
	}))
}

// changeMe answers PATCH /v1/api/auth/me.
func (s *Server) changeMe(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	if !s.mayAsk(w, r, s.signups) || !s.mayCarrySecrets(w, r) {
		return
	}
	body, ok := s.authBody(w, r)
	if !ok {
		return
	}
	var in struct {
		Name  *string `json:"name"`
		Email *string `json:"email"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Name == nil && in.Email == nil {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", "the body is not a JSON object with name or email")
		return
	}
	sent, err := s.accounts.Change(r.Context(), who, account.Profile{Name: in.Name, Email: in.Email, Addr: s.clientAddr(r), Flow: s.flow(w, r)})
	switch {
	case err != nil:
		s.writeAuthFailure(w, err)
	case sent:
		writeAuthStatus(w, http.StatusAccepted, codeSent)
	default:
		s.writeUser(w, r, who.UserID)
	}
}

// deleteMe answers DELETE /v1/api/auth/me.
func (s *Server) deleteMe(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	var in accountRequest
	if r.ContentLength != 0 {
		var ok bool
		if in, ok = s.accountBody(w, r, s.redeems); !ok {
			return
		}
	}
	err = s.accounts.Delete(r.Context(), who, in.Password, s.clientAddr(r))
	var e *wire.Error
	if errors.As(err, &e) && e.Code == wire.CodeInvalidCredentials {
		writeAuthError(w, http.StatusForbidden, "wrong_password", "the password is not right")
		return
	}
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	s.keepSession(w, r, nil)
	w.WriteHeader(http.StatusNoContent)
}

// inviteInfo is an invitation in an answer.
type inviteInfo struct {
	ID        string    `json:"id"`
	Email     string    `json:"email,omitempty"`
	Role      string    `json:"role"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedBy    string    `json:"used_by,omitempty"`
	Invite    string    `json:"invite,omitempty"` // the secret, in the answer that makes it
}

func describeInvite(in *account.Invite, secret string) inviteInfo {
	return inviteInfo{in.ID, in.Email, in.Role, in.CreatedBy, in.CreatedAt, in.ExpiresAt, in.UsedBy, secret}
}

func (s *Server) createInvite(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	in, ok := s.accountBody(w, r, s.signups)
	if !ok {
		return
	}
	life := time.Duration(in.ExpiresIn * float64(time.Second))
	made, secret, err := s.accounts.CreateInvite(r.Context(), who, in.Email, in.Role, life, s.clientAddr(r))
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	writeAuthStatus(w, http.StatusCreated, describeInvite(made, secret))
}

func (s *Server) listInvites(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	var list []account.Invite
	if err == nil {
		list, err = s.accounts.Invites(r.Context(), who)
	}
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	out := struct {
		Invites []inviteInfo `json:"invites"`
	}{make([]inviteInfo, len(list))}
	for i := range list {
		out.Invites[i] = describeInvite(&list[i], "")
	}
	writeAuthJSON(w, out)
}

func (s *Server) revokeInvite(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	revoked := false
	if err == nil {
		revoked, err = s.accounts.RevokeInvite(r.Context(), who, r.PathValue("id"), s.clientAddr(r))
	}
	switch {
	case err != nil:
		s.writeAuthFailure(w, err)
	case !revoked:
		writeAuthError(w, http.StatusNotFound, "not_found", "there is no open invitation of this id")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// writeNewSession answers with a session that has begun, and keeps it in the
// browser.
func (s *Server) writeNewSession(w http.ResponseWriter, r *http.Request, status int, g *identity.Grant, err error) {
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	s.keepSession(w, r, g)
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, status, wire.AppendLoginResponse(nil, loginResponse(g)))
}

func writeAuthStatus(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeAuthError(w, http.StatusInternalServerError, "internal_error", "internal error")
		return
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, status, b)
}
