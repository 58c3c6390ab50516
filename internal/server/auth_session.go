package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// listSessions answers GET /v1/api/auth/sessions.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	var list []identity.Session
	if err == nil {
		list, err = s.users.Sessions(r.Context(), who)
	}
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	out := make([]wire.SessionInfo, len(list))
	for i, c := range list {
		out[i] = wire.SessionInfo{
			ID: c.ID, Current: c.Current, AuthMethod: c.Method, ClientAddr: c.ClientAddr,
			CreatedAt: c.CreatedAt.Format(time.RFC3339Nano), LastSeenAt: c.LastSeenAt.Format(time.RFC3339Nano), ExpiresAt: c.ExpiresAt.Format(time.RFC3339Nano),
		}
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, wire.AppendSessions(nil, out))
}

// endSessions answers DELETE /v1/api/auth/sessions, which ends all of one's
// sessions but the one that asks, and DELETE /v1/api/auth/sessions/{id}, which
// ends one: of one's own, or for an administrator of anybody.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) {
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	n := 0
	if id := r.PathValue("id"); id != "" {
		var ended bool
		if ended, err = s.users.EndSession(r.Context(), who, id); ended {
			n = 1
		} else if err == nil {
			writeAuthError(w, http.StatusNotFound, "not_found", "there is no open session of this id")
			return
		}
	} else {
		n, err = s.users.EndOtherSessions(r.Context(), who)
	}
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	writeAuthJSON(w, map[string]int{"ended": n})
}

// password answers POST /v1/api/auth/password.
func (s *Server) password(w http.ResponseWriter, r *http.Request) {
	if !s.mayTry(w, r, s.logins) || !s.mayCarrySecrets(w, r) {
		return
	}
	who, err := s.person(r)
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	body, ok := s.authBody(w, r)
	if !ok {
		return
	}
	var in struct {
		Current *string `json:"current"`
		New     *string `json:"new"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Current == nil || in.New == nil {
		writeAuthError(w, http.StatusBadRequest, "invalid_request", "the body is not a JSON object with current and new")
		return
	}
	err = s.users.ChangePassword(r.Context(), who, *in.Current, *in.New, s.clientAddr(r))
	var e *wire.Error
	if errors.As(err, &e) && e.Code == wire.CodeInvalidCredentials {
		// The token is good, so this is no 401: clients would renew it.
		writeAuthError(w, http.StatusForbidden, "wrong_password", "the current password is not right")
		return
	}
	if err != nil {
		s.writeAuthFailure(w, err)
		return
	}
	writeAuthJSON(w, map[string]string{"message": "The password is changed; all other sessions have ended"})
}

// signInOptions answers GET /v1/api/auth/options.
func (s *Server) signInOptions(w http.ResponseWriter, r *http.Request) {
	type issuer struct {
		Alias      string   `json:"alias"`
		Name       string   `json:"name"`
		Issuer     string   `json:"issuer"`
		ClientID   string   `json:"client_id,omitempty"`
		Audience   []string `json:"audience"`
		Algorithms []string `json:"algorithms"`
	}
	password, others := s.users.SignIn()
	out := struct {
		Password bool     `json:"password"`
		Issuers  []issuer `json:"issuers"`
	}{password, make([]issuer, len(others))}
	for i, o := range others {
		out.Issuers[i] = issuer(o)
	}
	writeAuthJSON(w, out)
}

// keySet answers GET /.well-known/jwks.json.
func (s *Server) keySet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, http.StatusOK, s.users.JWKS())
}

func writeAuthJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeAuthError(w, http.StatusInternalServerError, "internal_error", "internal error")
		return
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, b)
}
