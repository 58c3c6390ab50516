// Package files keeps the contents of FILE columns.
//
// One flow: an upload is written to its place and synced while it arrives
// (Receive), then the statement runs and its transaction makes the file known
// beside the rows that refer to it. The database is the truth: content that it
// does not know is what an upload left that came to nothing, and is removed when
// the upload fails, when a commit ends the last reference, and for the rest at
// the next start.
//
// Who may read a file is asked of package engine; HTTP is in package server.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
)

// Options limit uploads. The zero value works.
type Options struct {
	MaxBytes     int64    // of one file; default 25 MiB
	MaxFiles     int      // of one request; default 20
	MaxRequest   int64    // bytes of all files of a request; default MaxBytes times MaxFiles
	MaxText      int64    // bytes of everything else in a request; default 10 MiB
	MaxPerUser   int64    // bytes that the files of a user may have together; default: no limit
	MaxPerFolder int      // files in one folder of the store; default 5000
	AllowedTypes []string // as in "image/png" or "image/*"; empty: all
	Logger       *slog.Logger
}

// Service takes uploads and keeps their contents. It is safe for concurrent
// use.
type Service struct {
	db      *store.DB
	blobs   Blobs
	options Options

	mu       sync.Mutex
	folder   int              // that new files go into, from 1; guarded by mu
	filled   int              // how many have gone there; guarded by mu
	arriving map[string]int64 // bytes of uploads under way, by user; guarded by mu

	work  turns // to copy and hash what has arrived
	syncs turns // to wait for the disk

	left    chan string // keys to be removed later
	closing chan struct{}
	done    sync.WaitGroup
	once    sync.Once
}

// New opens the service and removes content that the database does not know. It
// is the only one on its database and contents.
func New(ctx context.Context, db *store.DB, blobs Blobs, o Options) (*Service, error) {
	def(&o.MaxBytes, 25<<20)
	def(&o.MaxFiles, 20)
	def(&o.MaxRequest, o.MaxBytes*int64(o.MaxFiles))
	def(&o.MaxText, 10<<20)
	def(&o.MaxPerFolder, 5000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		db: db, blobs: blobs, options: o, folder: 1, arriving: make(map[string]int64),
		work: make(turns, max(1, runtime.NumCPU()/2)), syncs: make(turns, max(1, runtime.NumCPU()/2)),
		left: make(chan string, 1024), closing: make(chan struct{}),
	}
	waiting, err := s.sweep(ctx)
	if err != nil {
		return nil, fmt.Errorf("look through the files: %w", err)
	}
	released := db.Listen(store.AboutFiles)
	s.done.Go(func() { s.remove(waiting, released) })
	return s, nil
}

// turns bounds how many uploads do something at once. Go's scheduler knows no
// priorities: a query would wait behind every upload that has bytes to copy or
// keeps a thread in the disk.
type turns chan struct{}

func (t turns) take() { t <- struct{}{} }
func (t turns) give() { <-t }

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// MaxBody is the size of a request with files at most.
func (s *Service) MaxBody() int64 { return s.options.MaxRequest + s.options.MaxText }

// Quota is how many bytes the files of a user may have together; 0: no limit.
func (s *Service) Quota() int64 { return s.options.MaxPerUser }

// Close ends the service; what is still to be removed is found at the next
// start. It is idempotent.
func (s *Service) Close() error {
	s.once.Do(func() { close(s.closing) })
	s.done.Wait()
	return nil
}

// sweep removes the contents that no row of the database knows and returns
// those that cannot be removed now. It finds out where new files go.
func (s *Service) sweep(ctx context.Context) (waiting []string, err error) {
	known := make(map[string]bool)
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Files(func(f *store.File) error {
			known[f.Key()] = true
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	var unknown []string
	err = s.blobs.List(func(key string) error {
		folder, _, _ := strings.Cut(key, "/")
		if n, err := strconv.Atoi(strings.TrimPrefix(folder, "f")); err == nil && n > s.folder {
			s.folder, s.filled = n, 0
		}
		s.filled++
		if !known[key] {
			unknown = append(unknown, key)
		}
		delete(known, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for key := range known {
		s.options.Logger.Error("the content of a file is missing", "file", key)
	}
	for _, key := range unknown {
		if err := s.blobs.Delete(key); err != nil {
			waiting = append(waiting, key)
		}
	}
	return waiting, nil
}

// retryEvery is how long a content waits that could not be removed.
const retryEvery = time.Second

// remove removes what commits and failed uploads leave behind.
func (s *Service) remove(waiting []string, released *store.Listener) {
	defer released.Close()
	var retry <-chan time.Time
	for {
		released.Read(func(n store.Notice) {
			if n.Missed {
				s.options.Logger.Warn("more files were released at once than can wait to be removed; the next start removes the rest")
			}
			for _, f := range n.Files {
				waiting = append(waiting, f.Key())
			}
		})
		if waiting = s.removeAll(waiting); len(waiting) > 0 && retry == nil {
			retry = time.After(retryEvery)
		}
		select {
		case <-released.Wake:
		case key := <-s.left:
			waiting = append(waiting, key)
		case <-retry:
			retry = nil
		case <-s.closing:
			return
		}
	}
}

// removeAll removes contents and returns those that it cannot remove now.
func (s *Service) removeAll(keys []string) (left []string) {
	for i, key := range keys {
		err := s.blobs.Delete(key)
		if errors.Is(err, ErrHeld) {
			return append(left, keys[i:]...)
		}
		if err != nil {
			s.options.Logger.Error("remove the content of a file", "file", key, "error", err)
			left = append(left, key)
		}
	}
	return left
}

// Open reads the content of a file, or fails with fs.ErrNotExist. The reader
// goes on when the file is deleted meanwhile.
func (s *Service) Open(f *store.File) (io.ReadSeekCloser, error) { return s.blobs.Open(f.Key()) }

// place names a new file and the folder that it goes into.
func (s *Service) place(f *store.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filled >= s.options.MaxPerFolder {
		s.folder, s.filled = s.folder%9999+1, 0
	}
	s.filled++
	f.ID = strconv.FormatInt(s.db.NextID(), 10)
	f.Sub = fmt.Sprintf("f%04d", s.folder)
}

// arrive counts bytes of a user's uploads that are under way.
func (s *Service) arrive(user string, n int64) (all int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = s.arriving[user] + n
	if s.arriving[user] = all; all == 0 {
		delete(s.arriving, user)
	}
	return all
}
