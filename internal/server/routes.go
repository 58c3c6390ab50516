package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// route is one way in.
type route struct {
	method, path string
	serve        http.HandlerFunc
	family       fault.Family // of the errors that the server answers for it
	policy       []string     // its Content-Security-Policy; nil for noFrames
	uploads      bool         // it takes forms with files, as large as these may be
	upgrades     bool         // to a socket, so nobody asks for its HEAD
	patient      bool         // who has signed in may send its body slowly; see readBody
}

// What the paths of many routes begin with.
const (
	authRoute  = "/v1/api/auth/"
	topicRoute = "/v1/api/topics/"
)

// table is every route but those of files; see files.go.
func (s *Server) table() []route {
	const auth = fault.Auth
	return []route{
		{method: "GET", path: "/health", serve: s.health, family: auth},
		{method: "GET", path: "/v1/api/healthcheck", serve: s.health, family: auth},
		{method: "GET", path: "/.well-known/jwks.json", serve: s.keySet, family: auth},

		{method: "POST", path: "/v1/api/sql", serve: s.sql, family: fault.SQL, uploads: true, patient: true},
		{method: "POST", path: "/v1/api/files/sign", serve: s.signFile, family: fault.File, patient: true},
		{method: "GET", path: "/v1/ws", serve: s.socket, family: auth, upgrades: true},

		{method: "POST", path: topicRoute + "consume", serve: s.consume, family: fault.Topic, patient: true},
		{method: "POST", path: topicRoute + "ack", serve: s.settles(topic.Ack), family: fault.Topic, patient: true},
		{method: "POST", path: topicRoute + "nack", serve: s.settles(topic.Nack), family: fault.Topic, patient: true},
		{method: "POST", path: topicRoute + "extend", serve: s.settles(topic.Extend), family: fault.Topic, patient: true},

		{method: "POST", path: authRoute + "login", serve: s.login, family: auth},
		{method: "POST", path: authRoute + "refresh", serve: s.refresh, family: auth},
		{method: "POST", path: authRoute + "logout", serve: s.logout, family: auth},
		{method: "POST", path: authRoute + "setup", serve: s.setup, family: auth},
		{method: "GET", path: authRoute + "status", serve: s.status, family: auth},
		{method: "GET", path: authRoute + "options", serve: s.signInOptions, family: auth},
		{method: "GET", path: authRoute + "sessions", serve: s.listSessions, family: auth},
		{method: "DELETE", path: authRoute + "sessions", serve: s.endSessions, family: auth},
		{method: "DELETE", path: authRoute + "sessions/{id}", serve: s.endSessions, family: auth},
		{method: "POST", path: authRoute + "password", serve: s.password, family: auth},

		{method: "POST", path: authRoute + "signup", serve: s.signUp, family: auth},
		{method: "POST", path: authRoute + "code", serve: s.sendCode, family: auth},
		{method: "POST", path: authRoute + "code/redeem", serve: s.redeemCode, family: auth},
		{method: "POST", path: authRoute + "anonymous", serve: s.anonymous, family: auth},
		{method: "POST", path: authRoute + "upgrade", serve: s.upgrade, family: auth},
		{method: "GET", path: authRoute + "me", serve: s.me, family: auth},
		{method: "PATCH", path: authRoute + "me", serve: s.changeMe, family: auth},
		{method: "DELETE", path: authRoute + "me", serve: s.deleteMe, family: auth},
		{method: "GET", path: authRoute + "invites", serve: s.listInvites, family: auth},
		{method: "POST", path: authRoute + "invites", serve: s.createInvite, family: auth},
		{method: "DELETE", path: authRoute + "invites/{id}", serve: s.revokeInvite, family: auth},
		{method: "GET", path: account.ConfirmPath, serve: s.confirmPage, family: auth, policy: confirmPolicy},
		{method: "POST", path: account.ConfirmPath, serve: s.confirm, family: auth, policy: confirmPolicy},
	}
}

// routes makes the server answer the routes of the table, other methods with the
// list of those that a path takes, and other paths with the advice where to look.
func (s *Server) routes() {
	s.readFile = s.enter(route{method: "GET", path: fileRoute, serve: s.file, family: fault.File, policy: sandboxed, patient: true})
	methods := make(map[string][]string)
	for _, rt := range s.table() {
		s.mux.HandleFunc(rt.method+" "+rt.path, s.enter(rt))
		if methods[rt.path] == nil {
			s.mux.HandleFunc(rt.path, s.enter(route{path: rt.path, family: rt.family, serve: func(w http.ResponseWriter, _ *http.Request) {
				writeNoMethod(w, rt.family, strings.Join(methods[rt.path], ", "))
			}}))
		}
		methods[rt.path] = append(methods[rt.path], rt.method)
		if rt.method == http.MethodGet && !rt.upgrades {
			methods[rt.path] = append(methods[rt.path], http.MethodHead)
		}
	}
	s.mux.HandleFunc("/", s.enter(route{path: "/", family: fault.Auth, serve: func(w http.ResponseWriter, _ *http.Request) {
		writeAuthError(w, http.StatusNotFound, "not_found", "there is no such route; the API is under /v1/api")
	}}))
}

// enter is what a request passes before the handler of its route.
func (s *Server) enter(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.guard(w, r, rt.family)
		if rt.policy != nil {
			w.Header()["Content-Security-Policy"] = rt.policy
		}
		limit := s.options.MaxBody
		if rt.uploads && isForm(r) {
			limit = s.files.MaxBody()
			defer lingering(w, r)()
		}
		switch {
		case r.ContentLength > limit:
			writeTooLarge(w, r.ContentLength, limit)
			return
		case r.ContentLength == 0:
			http.NewResponseController(w).SetReadDeadline(time.Time{}) // nothing more is to come
		case !rt.patient:
			hurry(w)
		}
		rt.serve(w, r)
	}
}

// writeNoMethod answers a method that a path does not take.
func writeNoMethod(w http.ResponseWriter, family fault.Family, methods string) {
	w.Header().Set("Allow", methods)
	writeFamilyError(w, family, http.StatusMethodNotAllowed, "method_not_allowed", "this route takes "+methods)
}

// writeFamilyError answers in the family of a route: a request that got no
// further still reads as an answer of it.
func writeFamilyError(w http.ResponseWriter, family fault.Family, status int, code, message string) {
	e := wire.NewError(wire.Code(strings.ToUpper(code)), message)
	switch family {
	case fault.Topic:
		writeJSON(w, status, wire.AppendTopicError(nil, e))
	case fault.SQL, fault.File:
		writeJSON(w, status, wire.AppendResponse(nil, &wire.Response{Err: e}))
	default:
		writeAuthError(w, status, code, message)
	}
}
