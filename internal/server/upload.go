package server

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// isForm reports whether a request to run a statement brings files.
func isForm(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "multipart/form-data")
}

// stalled is how long a client may send no byte of an upload. All of it comes
// with slowestBody at least.
const stalled = 30 * time.Second

// upload runs a statement that comes as a form.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, who *identity.Principal, buf *buffer, res *wire.Response) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return wire.NewError(wire.CodeInvalidInput, "a request with files takes no Content-Encoding; send it as it is")
	}
	body := &formBody{body: r.Body, left: s.files.MaxBody(), rc: http.NewResponseController(w)}
	u, err := s.files.Receive(r.Context(), who.UserID, r.Header.Get("Content-Type"), body)
	if body.tooLarge {
		err = errBodyTooLarge
	}
	if err != nil {
		var coded *wire.Error
		if !errors.As(err, &coded) && !errors.Is(err, errBodyTooLarge) {
			s.options.Logger.Error("receive files", "error", err)
		}
		return err
	}
	defer u.Close()
	io.CopyN(io.Discard, body, formEnd) // what follows the form's end means nothing
	if s.users.Revoked(who) {
		return wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials")
	}
	res.Results, err = u.Run(r.Context(), s.engine, who, &buf.hold)
	return err
}

// formBody reads the body of a form up to a size, and gives up on a client that
// sends nothing for long.
type formBody struct {
	body     io.Reader
	left     int64
	tooLarge bool
	rc       *http.ResponseController
	began    time.Time
	read     int64
	extended time.Time
}

func (b *formBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One byte more tells a body of just that size from a larger one.
		var one [1]byte
		n, err := b.body.Read(one[:])
		if n > 0 {
			b.tooLarge, err = true, errBodyTooLarge
		}
		return 0, err
	}
	if now := time.Now(); now.Sub(b.extended) > time.Second {
		if b.extended.IsZero() {
			b.began = now
		}
		b.extended = now
		until := b.began.Add(stalled + time.Duration(b.read)*time.Second/slowestBody)
		if soon := now.Add(stalled); soon.Before(until) {
			until = soon
		}
		b.rc.SetReadDeadline(until)
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.read += int64(n)
	return n, err
}

// formEnd is how many bytes may follow the end of a form before the connection
// is not used again.
const formEnd = 4 << 10

// lingerTime is how long the server reads on after an answer that came before
// the end of the request.
const lingerTime = 10 * time.Second

// lingering lets an upload be answered before all of it has arrived. What it
// returns is called after the answer: a client that is still sending then would
// find the connection reset, and not the answer.
func lingering(w http.ResponseWriter, r *http.Request) (after func()) {
	rc := http.NewResponseController(w)
	rc.EnableFullDuplex() // else the answer waits for the body
	body := &watchedBody{ReadCloser: r.Body, header: w.Header()}
	r.Body = body
	w.Header().Set("Connection", "close") // until the end is read
	return func() {
		if body.ended {
			rc.SetReadDeadline(time.Time{})
			return
		}
		rc.Flush()
		rc.SetReadDeadline(time.Now().Add(lingerTime))
		io.Copy(io.Discard, body)
	}
}

// watchedBody knows whether its end was read.
type watchedBody struct {
	io.ReadCloser
	header http.Header // of the answer
	ended  bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.ended {
		b.ended = true
		b.header.Del("Connection")
	}
	return n, err
}
