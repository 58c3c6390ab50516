// Package sqlite is the embedded engine: a data folder with one SQLite file,
// in WAL mode with synchronous=FULL, so that a commit that has returned is on
// disk. One connection writes, several read.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // the database/sql driver, for the migrations
	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/internal/store"
)

var _ = sqlite.Driver{}

//go:embed schema/*.sql
var schema embed.FS

// FileName is the name of the database in a data folder.
const FileName = "kalam.db"

// Driver is an open data folder. It implements store.Driver.
type Driver struct {
	// MemoryLimit is how many bytes the engine, and Go beside it, may hold for all
	// statements together; default 512 MiB. When they hold more, the statement that
	// holds most is ended. It is set before the database is opened.
	MemoryLimit int64

	dir    string
	lock   *os.File
	pool   pool
	dog    *watchdog // nil until the connections are open
	closed chan struct{}
	once   sync.Once
}

// Open takes the data folder and locks it against other servers; it makes the
// folder if there is none. The file LOCK names the process that has it. The error of a folder in use is store.ErrLocked.
func Open(dir string) (*Driver, error) {
	countMemory()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, store.ErrLocked)
		}
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	// For people who look for the process; it is the lock itself that counts.
	if err := lock.Truncate(0); err == nil {
		fmt.Fprintln(lock, os.Getpid())
	}
	if err := checkFile(filepath.Join(dir, FileName)); err != nil {
		lock.Close()
		return nil, err
	}
	return &Driver{dir: dir, lock: lock, closed: make(chan struct{})}, nil
}

const fileMagic = "SQLite format 3\x00"

// checkFile makes sure that the data file is one, before the engine sees it: it
// would write into some files that are none, and open one read-only that it may
// not write. A new file is made readable for this user only; the engine gives
// its log the same rights.
func checkFile(path string) error {
	info, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
	if log, err := os.Stat(path + "-wal"); isNew && err == nil && log.Size() > 0 {
		// The engine would take the log for a leftover and delete it.
		return fmt.Errorf("the data file %s is missing or empty, but its log %s-wal has data: restore the file, or move the log away", path, path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the data file must be writable: %w", err)
	}
	defer f.Close()
	head := make([]byte, len(fileMagic))
	n, err := io.ReadFull(f, head)
	if err == io.EOF {
		return nil // a new folder
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read the data file: %w", err)
	}
	if string(head[:n]) == fileMagic {
		return nil
	}
	if _, err := os.Stat(path + "-journal"); err == nil {
		return nil // a first start that was cut off; the engine repairs it
	}
	return fmt.Errorf("%s is not a database of kalam: it does not begin like one", path)
}

// Migrate brings the schema to this version and opens the connections.
func (d *Driver) Migrate(ctx context.Context) error {
	if err := d.migrate(ctx); err != nil {
		return err
	}
	if d.MemoryLimit == 0 {
		d.MemoryLimit = 512 << 20
	}
	hardLimit(d.MemoryLimit + d.MemoryLimit/4)
	d.dog = newWatchdog(d.MemoryLimit, d.pool.shed)
	go d.dog.run()
	return d.pool.open(d.path(), d.dog)
}

func (d *Driver) path() string { return filepath.Join(d.dir, FileName) }

func (d *Driver) migrate(ctx context.Context) error {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+uriPath(d.path())+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	at, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path(), err)
	}
	known := p.ListSources()
	if at > known[len(known)-1].Version {
		return store.ErrNewerVersion
	}
	if _, err = p.Up(ctx); err != nil {
		return fmt.Errorf("%s: %w", d.path(), err)
	}
	return db.Close()
}

// uriPath escapes what a file: URI gives a meaning to.
func uriPath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// Target is SQLite.
func (d *Driver) Target() sqlgen.Target { return target.Target{} }

// Account counts what Go holds for statements, half of MemoryLimit at most.
func (d *Driver) Account() *budget.Account { return d.dog.account }

// Turns shares the processors of the machine.
func (d *Driver) Turns() *budget.Turns { return d.pool.turns }

// Begin opens a transaction on the writing or on a free reading connection.
func (d *Driver) Begin(ctx context.Context, mode store.Mode, user string) (store.Session, error) {
	select {
	case <-d.closed:
		return nil, store.ErrClosed
	default:
	}
	if mode == store.Reading {
		c, err := d.pool.take(ctx, user, d.closed)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	c, err := d.pool.takeWriter(ctx, user, d.closed)
	if err != nil {
		return nil, err
	}
	d.pool.trimLog(c)
	if err := c.begin(beginWrite); err != nil {
		d.pool.give(c)
		return nil, err
	}
	return c, nil
}

// Flush moves the log to the data file between two writing transactions.
func (d *Driver) Flush(ctx context.Context) error {
	c, err := d.pool.takeWriter(ctx, "", d.closed)
	if err != nil {
		return err
	}
	defer d.pool.give(c)
	return d.pool.moveLog(c)
}

// Reason classifies an error of SQLite by its result code.
func (d *Driver) Reason(err error) store.Reason {
	code := zs.ErrCode(err)
	switch {
	case code == zs.ResultConstraintPrimaryKey:
		return store.ReasonKey
	case code == zs.ResultConstraintUnique, code == zs.ResultConstraintTrigger: // see target.Guard
		return store.ReasonUnique
	case code.ToPrimary() == zs.ResultInterrupt:
		return store.ReasonInterrupted
	case code.ToPrimary() == zs.ResultFull:
		return store.ReasonFull
	case code.ToPrimary() == zs.ResultNoMem:
		return store.ReasonMemory
	case code.ToPrimary() == zs.ResultTooBig:
		return store.ReasonTooLong
	}
	return store.ReasonOther
}

// Violated reads the text of the error: "UNIQUE constraint failed: t5._user,
// t5.c2", or "...: index 't5_ix'" where a column is an expression.
func (d *Driver) Violated(err error) (index string, columns []string) {
	_, what, _ := strings.Cut(err.Error(), "constraint failed: ")
	if name, ok := strings.CutPrefix(what, "index '"); ok {
		return strings.ReplaceAll(strings.TrimSuffix(name, "'"), "''", "'"), nil
	}
	for _, column := range strings.Split(what, ", ") {
		columns = append(columns, column[strings.IndexByte(column, '.')+1:])
	}
	return "", columns
}

// Close waits for the sessions in use, closes the connections and lets go of
// the folder.
func (d *Driver) Close() error {
	var err error
	d.once.Do(func() {
		close(d.closed)
		err = d.pool.close()
		if d.dog != nil {
			d.dog.close()
		}
		err = errors.Join(err, d.lock.Close())
	})
	return err
}
