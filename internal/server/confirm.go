package server

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/mail"
	"github.com/kalamdb/kalam-go/wire"
)

//go:embed confirm.html
var confirmFile embed.FS

var confirmTemplate = template.Must(template.ParseFS(confirmFile, "confirm.html"))

// confirmPolicy lets the page show itself and send its form, and nothing else.
var confirmPolicy = []string{"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"}

// confirmView is what the page shows. It needs no script.
type confirmView struct {
	Title, Text string
	Problem     string
	Token       string // "" for no form
	Button      string
	Password    bool // the form asks for a password
	Label       string
	Back        string
}

// confirmPage answers GET of a link in a mail: it shows what the link does and
// changes nothing, whoever follows it.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	link, err := s.accounts.Look(r.Context(), token, account.Flow(s.cookie(r, flowCookie)))
	if err != nil {
		s.writeConfirm(w, http.StatusInternalServerError, failedView())
		return
	}
	if link == nil {
		s.writeConfirm(w, http.StatusNotFound, goneView())
		return
	}
	s.writeConfirm(w, http.StatusOK, viewOf(link, token))
}

func failedView() *confirmView {
	return &confirmView{Title: "Something went wrong", Text: "Try again in a moment, or ask for a new mail in the app."}
}

func goneView() *confirmView {
	return &confirmView{Title: "This link is not good any more", Text: "It was used, or is older than 10 minutes. Ask for a new mail in the app."}
}

func viewOf(link *account.Link, token string) *confirmView {
	v := &confirmView{Token: token, Button: "Confirm"}
	switch {
	case link.NeedsCode:
		return &confirmView{Title: "Enter the code in the app", Text: "This page was opened in another browser than the one that asked for the mail. The six digits of the mail work there."}
	case link.Purpose == mail.Reset:
		v.Title, v.Text, v.Button, v.Password = "Set a new password", "For the account of "+link.Address+". All of its other sessions end.", "Set the password", true
		v.Label = "New password"
	case link.Purpose == mail.Login:
		v.Title, v.Text, v.Button = "Sign in", "As "+link.Address+", in this browser.", "Sign in"
	default:
		v.Title, v.Text = "Confirm your address", "Somebody, probably you, wants to use "+link.Address+"."
		if link.Password {
			v.Text += " Enter the password that you have chosen, or the code of the mail in the app."
			v.Password, v.Label = true, "Your password"
		}
	}
	return v
}

// confirm answers POST of the page's form.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	if !s.mayAsk(w, r, s.redeems) || !s.mayCarrySecrets(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxAuthBody)
	if err := r.ParseForm(); err != nil {
		s.writeConfirm(w, http.StatusBadRequest, failedView())
		return
	}
	token, password := r.PostForm.Get("token"), r.PostForm.Get("password")
	g, link, err := s.accounts.Confirm(r.Context(), token, password, account.Flow(s.cookie(r, flowCookie)), s.clientAddr(r))
	var coded *wire.Error
	switch {
	case err == nil:
		s.writeConfirm(w, http.StatusOK, s.confirmed(w, r, g, link))
	case !errors.As(err, &coded):
		s.options.Logger.Error("confirm a link", "error", err)
		s.writeConfirm(w, http.StatusInternalServerError, failedView())
	case coded.Code == wire.CodeWeakPassword && link != nil:
		v := viewOf(link, token)
		v.Problem = coded.Message
		s.writeConfirm(w, http.StatusBadRequest, v)
	case coded.Code == account.CodeAddressTaken:
		s.writeConfirm(w, http.StatusConflict, &confirmView{Title: "This address is taken", Text: "Another account has it. Nothing has changed."})
	default:
		s.writeConfirm(w, http.StatusNotFound, goneView())
	}
}

func (s *Server) confirmed(w http.ResponseWriter, r *http.Request, g *identity.Grant, link *account.Link) *confirmView {
	v := &confirmView{Title: "Confirmed", Text: "Go back to the app.", Back: link.RedirectTo}
	if g != nil {
		s.keepSession(w, r, g)
		v.Title, v.Text = "You are signed in", "Go back to the app."
	}
	return v
}

func (s *Server) writeConfirm(w http.ResponseWriter, status int, v *confirmView) {
	var b bytes.Buffer
	if err := confirmTemplate.Execute(&b, v); err != nil {
		writeAuthError(w, http.StatusInternalServerError, "internal_error", "internal error")
		return
	}
	h := w.Header()
	h["Cache-Control"] = noStore
	h["Content-Type"] = []string{"text/html; charset=utf-8"}
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
