package store

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// Stmt is a statement in the engine's SQL, made once and run often. Its
// placeholders are $1 to $n, in any order.
type Stmt struct {
	SQL  string
	Args []wire.Type // type of each argument: the stored form it is bound in
	Cols []wire.Type // type of each result column: the form it is read back from
}

// Driver is what an engine supplies. Everything else is written once, in DB.
type Driver interface {
	// Begin takes a session for user and begins its transaction. It waits for a
	// free session until ctx ends. Users share the sessions that read, and what
	// these cost, fairly; "" is the server itself, which waits for no user.
	Begin(ctx context.Context, mode Mode, user string) (Session, error)
	// Target says which SQL the engine speaks.
	Target() sqlgen.Target
	// Migrate brings the server's own schema to this version. It returns
	// ErrNewerVersion when the data was written by a newer one.
	Migrate(ctx context.Context) error
	// Reason classifies an error that a Session returned.
	Reason(err error) Reason
	// Violated returns which unique index an error with ReasonUnique is about: its
	// name, or the physical columns that it is on.
	Violated(err error) (index string, columns []string)
	// Account counts what Go holds for statements. It is there after Migrate.
	Account() *budget.Account
	// Turns shares the processors among what users compute, in the engine and
	// beside it. It is there after Migrate.
	Turns() *budget.Turns
	// Backup writes a consistent copy of the database to a new file.
	Backup(ctx context.Context, path string) error
	// Scrub overwrites what was deleted and still stands in the engine's files. It
	// gives way to writers between its steps.
	Scrub(ctx context.Context) error
	// Flush moves what the engine keeps in a log of its own into its data files,
	// as far as running sessions permit.
	Flush(ctx context.Context) error
	// Close ends all sessions. No session may be in use.
	Close() error
}

// Mode is what a session is for.
type Mode uint8

// The modes of a session. Reading is a snapshot of the newest commit or a later
// one. There is one Writing session at a time.
const (
	Reading Mode = iota
	Writing
)

// Session is one transaction of an engine. It is used by one goroutine.
type Session interface {
	// Query runs s and calls row for each row, which may be kept.
	// The error of a function of package expr comes back as it is.
	Query(s *Stmt, args []wire.Value, row func([]wire.Value) error) error
	// Exec runs s and returns how many rows it changed. The caller uses args again.
	Exec(s *Stmt, args []wire.Value) (int64, error)
	// Explain says how the engine would run s now, in lines for people.
	Explain(s *Stmt, args []wire.Value) ([]string, error)
	// Script runs one definition, without arguments.
	Script(sql string) error
	// Bound makes the following calls fail once ctx has ended, limit has passed or
	// yield reports true, at most a tenth of a second later. yield may be nil; it
	// is called by other goroutines.
	Bound(ctx context.Context, limit time.Duration, yield func() bool)
	// Unbound lifts the bound and says why calls were made to fail.
	Unbound() Stop
	// Budget bounds what Go evaluates between Bound and Unbound. Bytes that are
	// charged to it stay charged until End.
	Budget() *budget.Budget
	// Active reports whether the transaction is still open: an engine may have
	// rolled back all of it when one statement failed.
	Active() bool
	// End commits or rolls back and gives the session back. When the commit
	// fails nothing of the transaction remains.
	End(commit bool) error
}

// Stop is why a bound session was interrupted.
type Stop uint8

// Why a session is interrupted.
const (
	StopNone    Stop = iota
	StopContext      // its context ended
	StopLate         // its time limit passed
	StopMemory       // the engine held too much for it
	StopYield        // others wait for it
)

// Reason is why an engine refused something.
type Reason uint8

// The reasons that DB and its callers tell apart.
const (
	ReasonOther       Reason = iota
	ReasonKey                // a primary key is there already
	ReasonUnique             // a unique index; see Driver.Violated
	ReasonInterrupted        // see Stop
	ReasonFull               // no space left
	ReasonMemory             // no memory left
	ReasonTooLong            // a value that is too long
)
