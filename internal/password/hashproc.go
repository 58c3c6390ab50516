package password

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/redact"
)

// A password hash takes a core for tens of milliseconds and 19 MiB, and Go's
// scheduler does not interrupt it for a query that takes a tenth of one. So
// where the program allows, hashes are made in processes of lower priority: the
// kernel lets queries go first, and the memory is not the server's to collect.

// hashRequest asks for a new hash of a password, or with Hash whether it is its.
type hashRequest struct {
	redact.Redacted
	hash     string
	password string
}

type hashAnswer struct {
	redact.Redacted
	hash            string
	match, outdated bool
}

// compute does what a request asks for, here.
func (r hashRequest) compute() (out hashAnswer) {
	if r.hash == "" {
		out.hash = hashPassword(r.password)
	} else {
		out.match, out.outdated = verifyPassword(r.hash, r.password)
	}
	return out
}

// On the pipe: one JSON object a line, secrets as base64.
type (
	pipeRequest struct {
		Hash     string
		Password []byte
	}
	pipeAnswer struct {
		Hash            string
		Match, Outdated bool
	}
)

// lowestPriority is the nice value of a process that makes hashes.
const lowestPriority = 19

// ServeHashes makes hashes for the server that started this process, until in
// ends. It is all that the process does.
func ServeHashes(in io.Reader, out io.Writer) error {
	giveWay()
	debug.SetGCPercent(-1) // the memory of a hash is collected once it is answered, and used again
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r pipeRequest
		if err := requests.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return errors.New("hash worker: the request is damaged")
		}
		a := hashRequest{hash: r.Hash, password: string(r.Password)}.compute()
		if err := answers.Encode(pipeAnswer{a.hash, a.match, a.outdated}); err != nil {
			return err
		}
		runtime.GC()
	}
}

// hashPool starts processes that make hashes as they are needed, at most one for
// each slot of the hasher, and ends those that have had nothing to do for a
// minute.
type hashPool struct {
	command  []string
	patience time.Duration
	log      *slog.Logger

	mu     sync.Mutex
	idle   []*hashProcess // mu guards it and the rest
	closed bool
}

type hashProcess struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	requests *json.Encoder
	answers  *json.Decoder
	tired    *time.Timer // ends it
}

const hashIdle = time.Minute

// do has a request answered; without a process that works, here. So it is with
// one that takes longer than patience: it gets no processor, because others have
// them all, and nobody shall be kept out by a busy machine.
func (p *hashPool) do(r hashRequest) hashAnswer {
	for range 2 { // the first may have been ended by somebody
		w, err := p.take()
		if err != nil {
			p.log.Warn("passwords are hashed in the server itself, which slows queries down", "error", err)
			break
		}
		var a pipeAnswer
		late := time.AfterFunc(p.patience, func() { w.cmd.Process.Kill() })
		err = w.requests.Encode(pipeRequest{r.hash, []byte(r.password)})
		if err == nil {
			err = w.answers.Decode(&a)
		}
		inTime := late.Stop()
		if inTime && err == nil {
			p.put(w)
		} else {
			w.end()
		}
		if err == nil {
			return hashAnswer{hash: a.Hash, match: a.Match, outdated: a.Outdated}
		}
		if !inTime {
			p.log.Warn("the processes that hash passwords get no time on this machine: the server itself does it, which slows queries down")
			break
		}
	}
	return r.compute()
}

func (p *hashPool) take() (*hashProcess, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		w.tired.Stop()
		p.mu.Unlock()
		return w, nil
	}
	p.mu.Unlock()
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Env = []string{"GOMAXPROCS=1"} // and nothing of the server's, which holds secrets
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process for hashes: %w", err)
	}
	return &hashProcess{cmd: cmd, in: in, requests: json.NewEncoder(in), answers: json.NewDecoder(out)}, nil
}

func (p *hashPool) put(w *hashProcess) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		go w.end()
		return
	}
	w.tired = time.AfterFunc(hashIdle, func() { p.retire(w) })
	p.idle = append(p.idle, w)
}

// retire ends a process that nobody has taken meanwhile.
func (p *hashPool) retire(w *hashProcess) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.idle {
		if other == w {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			go w.end()
			return
		}
	}
}

// close ends the idle processes; those at work end when they are put back.
func (p *hashPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		w.tired.Stop()
		w.end()
	}
	p.idle = nil
}

// end ends a process, which its standard input tells.
func (w *hashProcess) end() {
	w.in.Close()
	w.cmd.Wait()
}
