package server

import (
	"net/http"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

const (
	// smallAnswer is how many bytes are written without a deadline: they go into
	// the buffers of the connection.
	smallAnswer = 4 << 10
	// answerChunk is how many bytes of a larger one a client has writeTimeout to
	// read.
	answerChunk = 64 << 10
)

// paced writes an answer as the client reads it. A client that does not read is
// disconnected, so that it holds neither memory nor a connection.
type paced struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func newPaced(w http.ResponseWriter) paced { return paced{w, http.NewResponseController(w)} }

// Write implements io.Writer.
func (p paced) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		p.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		var k int
		k, err = p.w.Write(b[n:min(len(b), n+answerChunk)])
		n += k
	}
	return n, err
}

// end is called when all is written. What the buffers still hold has a last
// deadline, which the next answer of the connection moves.
func (p paced) end() {
	if p.rc.Flush() == nil {
		p.rc.SetWriteDeadline(time.Time{})
	}
}

// answer writes the answer of the SQL route, row by row when it is large: so its
// rows go as the client reads, and nothing holds the whole text.
func answer(w http.ResponseWriter, status int, buf *buffer, res *wire.Response) {
	var p paced
	rest, err := wire.WriteResponse(buf.out[:0], res, func(b []byte) error {
		if p.w == nil {
			p = newPaced(w)
			w.Header()["Content-Type"] = contentJSON
			w.WriteHeader(status)
		}
		_, err := p.Write(b)
		return err
	})
	buf.out = rest
	if p.w == nil {
		writeJSON(w, status, rest)
		return
	}
	if err == nil {
		_, err = p.Write(rest)
	}
	if err == nil {
		p.end()
	}
}
