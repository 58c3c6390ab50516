package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// consume leases messages. A consumer that waits holds no buffers meanwhile.
func (s *Server) consume(w http.ResponseWriter, r *http.Request) {
	who, body, ok := s.topicBody(w, r)
	if !ok {
		return
	}
	req, bad := wire.DecodeConsumeRequest(body.in)
	body.release()
	if bad != nil {
		s.writeTopicError(w, bad)
		return
	}
	if req.Consumer == "" && !req.Peek {
		// KalamDB 0.4 never waits here, and its clients, which do not name a
		// consumer, give up at the moment that they ask the server to wait until.
		req.Timeout = 0
	}
	c := s.engine.Consume(req)
	defer c.End()
	resp, err := c.Lease(r.Context(), who)
	for err == nil {
		var again bool
		if again, err = c.Wait(r.Context()); !again {
			break
		}
		if who, err = s.principal(r); err != nil { // it has ended meanwhile
			s.writeBearerError(w, err)
			return
		}
		resp, err = c.Lease(r.Context(), who)
	}
	switch {
	case err != nil && errors.Is(context.Cause(r.Context()), context.Canceled):
		// Nobody is there to read an answer.
	case err != nil:
		s.writeTopicError(w, err)
	default:
		buf := buffers.Get().(*buffer)
		defer buf.release()
		buf.hold = s.engine.Memory().Hold(who.UserID)
		buf.out = wire.AppendConsumeResponse(buf.out[:0], resp)
		if err := buf.hold.Add(cap(buf.out)); err != nil {
			s.writeTopicError(w, err) // what was leased comes again
			return
		}
		resp = nil // the client may read slowly
		writeJSON(w, http.StatusOK, buf.out)
	}
}

func (s *Server) settles(kind topic.Settle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.settle(w, r, kind) }
}

// settle acknowledges, gives back or extends.
func (s *Server) settle(w http.ResponseWriter, r *http.Request, kind topic.Settle) {
	who, body, ok := s.topicBody(w, r)
	if !ok {
		return
	}
	defer body.release()
	req, bad := wire.DecodeAckRequest(body.in)
	if bad == nil && kind != topic.Ack && len(req.Ranges) == 0 {
		bad = wire.NewError(wire.CodeInvalidInput, "Invalid JSON payload: missing field `ranges`")
	}
	if bad != nil {
		s.writeTopicError(w, bad)
		return
	}
	resp, err := s.engine.Settle(r.Context(), who, req, kind)
	if err != nil {
		s.writeTopicError(w, err)
		return
	}
	body.out = wire.AppendAckResponse(body.out[:0], resp)
	writeJSON(w, http.StatusOK, body.out)
}

// topicBody reads a request of one of the routes. When it is none that can go
// on, it answers and ok is false.
func (s *Server) topicBody(w http.ResponseWriter, r *http.Request) (who *identity.Principal, body *buffer, ok bool) {
	who, err := s.principal(r)
	if err != nil {
		s.writeBearerError(w, err)
		return nil, nil, false
	}
	if !s.queries.allow(who.UserID) {
		s.writeTopicError(w, wire.NewError(wire.CodeRateLimited, "too many requests; wait a moment"))
		return nil, nil, false
	}
	if !isJSON(r) {
		s.writeTopicError(w, wire.NewError(wire.CodeInvalidInput, "the request needs Content-Type: application/json"))
		return nil, nil, false
	}
	body = buffers.Get().(*buffer)
	body.hold = s.engine.Memory().Hold(who.UserID)
	if body.in, err = readBody(w, r, body.in[:0], s.options.MaxBody, &body.hold); err == nil {
		return who, body, true
	}
	body.release()
	if errors.Is(err, errBodyTooLarge) {
		writeTooLarge(w, 0, s.options.MaxBody)
	} else {
		s.writeTopicError(w, bodyError(err))
	}
	return nil, nil, false
}

// writeTopicError answers in the family of the topic routes (protocol 1.0.8).
func (s *Server) writeTopicError(w http.ResponseWriter, err error) {
	e := *asWireError(err)
	as := fault.AnswerOf(fault.Topic, e.Code)
	e.Code = as.Code
	if as.Busy() {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, as.Status, wire.AppendTopicError(nil, &e))
}
