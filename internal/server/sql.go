package server

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// buffers holds the bodies of small requests and answers for the next ones.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer struct {
	in, out []byte
	hold    engine.Hold // what the request holds
}

// keepBuffer is the largest buffer that is kept.
const keepBuffer = 64 << 10

func (b *buffer) release() {
	b.hold.Release()
	if cap(b.in) <= keepBuffer && cap(b.out) <= keepBuffer {
		buffers.Put(b)
	}
}

// sql answers POST /v1/api/sql (protocol 1.9).
func (s *Server) sql(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	who, err := s.principal(r)
	if err != nil {
		s.writeBearerError(w, err)
		return
	}
	buf := buffers.Get().(*buffer)
	defer buf.release()
	buf.hold = s.engine.Memory().Hold(who.UserID)
	res := wire.Response{}
	if err := s.decodeAndRun(w, r, who, buf, &res); err != nil {
		if errors.Is(err, errBodyTooLarge) {
			limit := s.options.MaxBody
			if isForm(r) {
				limit = s.files.MaxBody()
			}
			writeTooLarge(w, 0, limit)
			return
		}
		res.Results = nil
		res.Err = hideTable(who, asWireError(err))
	}
	res.Took = float64(time.Since(start).Microseconds()) / 1000
	status := statusOf(res.Err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, buf, &res)
}

func (s *Server) decodeAndRun(w http.ResponseWriter, r *http.Request, who *identity.Principal, buf *buffer, res *wire.Response) error {
	if !s.queries.allow(who.UserID) {
		return wire.NewError(wire.CodeRateLimited, "too many requests; wait a moment")
	}
	if isForm(r) {
		return s.upload(w, r, who, buf, res)
	}
	if !isJSON(r) {
		return wire.NewError(wire.CodeInvalidInput, "the request needs Content-Type: application/json, or multipart/form-data for files")
	}
	var err error
	if buf.in, err = readBody(w, r, buf.in[:0], s.options.MaxBody, &buf.hold); err != nil {
		return bodyError(err)
	}
	if err := buf.hold.Add(len(buf.in)); err != nil { // its texts and arguments are copies
		return err
	}
	req, bad := s.engine.Decode(r.Context(), who, buf.in)
	if bad != nil {
		return bad
	}
	res.Results, err = s.engine.RunCounted(r.Context(), who, req, &buf.hold)
	return err
}

// bodyError is what is said of a body that could not be read.
func bodyError(err error) error {
	var coded *wire.Error
	if errors.Is(err, errBodyTooLarge) || errors.As(err, &coded) {
		return err
	}
	return wire.NewError(wire.CodeInvalidInput, "the request body ended early, or came too slowly")
}

func asWireError(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	return wire.NewError(wire.CodeInternal, "internal error")
}

// hideTable keeps from ordinary users whether a table that they may not use
// exists.
func hideTable(who *identity.Principal, e *wire.Error) *wire.Error {
	if e.Code != wire.CodeTableNotFound || who.IsAdmin() {
		return e
	}
	return asWireError(fault.Change(e, func(e *wire.Error) {
		e.Message = "Requested table is not available: it does not exist or you may not use it"
	}))
}

// statusOf is the HTTP status of an answer of the SQL route.
func statusOf(e *wire.Error) int {
	if e == nil {
		return http.StatusOK
	}
	return fault.AnswerOf(fault.SQL, e.Code).Status
}
