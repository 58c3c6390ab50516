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

// isUpload reports whether a request is a statement with files.
func isUpload(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return r.URL.Path == "/v1/api/sql" && strings.EqualFold(strings.TrimSpace(media), "multipart/form-data")
}

// stalled is how long a client may send no byte of an upload.
const stalled = time.Minute

// upload runs a statement that comes as a form.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, who *identity.Principal, res *wire.Response) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return wire.NewError(wire.CodeInvalidInput, "a request with files takes no Content-Encoding; send it as it is")
	}
	body := &formBody{body: r.Body, left: s.files.MaxBody(), rc: http.NewResponseController(w)}
	u, err := s.files.Receive(r.Context(), who.UserID, r.Header.Get("Content-Type"), body)
	if body.tooLarge {
		err = errBodyTooLarge
	}
	if err != nil {
		body.drain()
		var coded *wire.Error
		if !errors.As(err, &coded) && !errors.Is(err, errBodyTooLarge) {
			s.options.Logger.Error("receive files", "error", err)
		}
		return err
	}
	defer u.Close()
	body.drain() // what follows the form's end means nothing
	if s.users.Revoked(who) {
		return wire.NewError(wire.CodeInvalidCredentials, "Invalid credentials")
	}
	res.Results, err = u.Run(r.Context(), s.engine, who)
	return err
}

// formBody reads the body of a form up to a size, and gives up on a client that
// sends nothing for long.
type formBody struct {
	body     io.Reader
	left     int64
	tooLarge bool
	rc       *http.ResponseController
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
		b.extended = now
		b.rc.SetReadDeadline(now.Add(stalled))
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

const (
	drainBytes = 64 << 20
	drainTime  = 10 * time.Second
)

// drain reads what a client still sends, so that it gets to read the answer, for
// a while.
func (b *formBody) drain() {
	b.rc.SetReadDeadline(time.Now().Add(drainTime))
	io.CopyN(io.Discard, b.body, drainBytes)
	b.rc.SetReadDeadline(time.Time{})
}
