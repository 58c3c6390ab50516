package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"github.com/kalamdb/kalam-go/client"
)

// broken is how often a download goes on after its connection broke without a
// byte more than before.
const broken = 5

// download writes a file to w. When the connection breaks it goes on from where
// it was; what it gets is compared with the file's SHA-256.
func download(ctx context.Context, w io.Writer, db *client.Client, table string, f *client.FileRef, bar *bar) error {
	sum := sha256.New()
	out := io.MultiWriter(w, sum, bar)
	var n int64
	for failures := 0; ; {
		body, err := db.OpenFile(ctx, table, f, client.Range{Offset: n})
		if err == nil {
			var more int64
			source := &sourceErr{r: body}
			more, err = io.Copy(out, source)
			body.Close()
			if n += more; more > 0 {
				failures = 0
			}
			if err == nil {
				break
			}
			if source.err == nil {
				return err // of w
			}
			err = source.err
		} else if !errors.Is(err, client.ErrUnavailable) {
			return err
		}
		if failures++; failures == broken || ctx.Err() != nil || n == f.Size {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.SHA256 != "" && hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return errors.New("the file that arrived is not the one that was stored: its SHA-256 differs")
	}
	return nil
}

// sourceErr tells an error of reading from one of writing.
type sourceErr struct {
	r   io.Reader
	err error
}

func (s *sourceErr) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// bar shows how far a file is, on a terminal.
type bar struct {
	tracker *progress.Tracker // nil: nothing is shown
	writer  progress.Writer
	done    chan struct{}
	n       int64
}

// startBar begins a bar; the size is 0 when it is not known.
func startBar(s *streams, quiet bool, name string, size int64) *bar {
	b := &bar{}
	if quiet || !isTerminal(s.err) {
		return b
	}
	b.tracker = &progress.Tracker{Message: name, Total: size, Units: progress.UnitsBytes, AutoStopDisabled: true}
	b.writer = progress.NewWriter()
	b.writer.SetOutputWriter(s.err)
	b.writer.SetAutoStop(true)
	b.writer.SetUpdateFrequency(100 * time.Millisecond)
	b.writer.SetTrackerLength(30)
	b.writer.Style().Visibility.ETA = size > 0
	b.writer.Style().Visibility.Speed = true
	b.writer.AppendTracker(b.tracker)
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		b.writer.Render()
	}()
	return b
}

// set takes how many bytes there are so far.
func (b *bar) set(n int64) {
	if b.tracker != nil {
		b.tracker.SetValue(n)
	}
}

// Write counts bytes.
func (b *bar) Write(p []byte) (int, error) {
	b.n += int64(len(p))
	b.set(b.n)
	return len(p), nil
}

// end shows the last state and ends the bar.
func (b *bar) end(good bool) {
	if b.tracker == nil {
		return
	}
	if good {
		b.tracker.MarkAsDone()
	} else {
		b.tracker.MarkAsErrored()
	}
	<-b.done
}
