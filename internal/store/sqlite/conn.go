package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	// keepStmts is how many prepared statements a connection keeps, and keepBytes
	// how many bytes of the engine they may hold together. Statements larger than
	// keepLarge are prepared anew each time.
	keepStmts = 512
	keepBytes = 2 << 20
	keepLarge = 128 << 10
	// parsedSize is how many bytes the engine holds for each of a text that it
	// prepares, in pieces that are too small to be counted one by one.
	parsedSize = 40
	// keepBound is how many bytes of arguments a statement keeps after its use.
	keepBound = 4 << 10
)

// maxValue is how many bytes a value or a row may have.
const maxValue = 256 << 20

// conn is one connection with an open transaction. It implements
// store.Session.
type conn struct {
	sq     *zs.Conn
	pool   *pool                // where End puts it back
	write  bool                 // the one that writes
	stmts  map[string]*prepared // by their text
	order  []string             // of stmts, oldest first
	kept   int                  // bytes that stmts hold
	funcs  *functions
	raised error // of a function of package expr in the running statement
	seen   int64 // pool.commits when the snapshot of a reading connection was taken
	looked bool  // this transaction has its snapshot
	failed bool  // a statement of this transaction
	broken bool  // a panic came through the engine: nobody knows what state it is in
	dog    *watchdog
	held   *holder
	budget budget.Budget // of what Go evaluates for the transaction
	log    *gathered     // of the one that writes

	user *user // who holds it; nil: nobody

	mu     sync.Mutex
	ctx    context.Context // mu guards it and the rest; the bound, nil for none
	since  time.Time       // of the bound
	until  time.Time
	yield  func() bool
	stop   store.Stop    // why it was interrupted
	kill   chan struct{} // closed to interrupt the running statement
	killed bool
}

type prepared struct {
	*zs.Stmt
	busy bool // stepping: a nested use needs another one
	size int  // bytes that it holds
}

// openConn opens a connection that writes or reads, with so many bytes of the
// engine for its pages.
func openConn(path string, write bool, pages int) (*conn, error) {
	flags := zs.OpenReadWrite | zs.OpenWAL
	sq, err := zs.OpenConn(path, flags)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	sq.Limit(zs.LimitLength, maxValue)
	c := &conn{sq: sq, write: write, stmts: make(map[string]*prepared), held: &holder{own: 2*int64(pages) + ownBytes}}
	holders.Store(tlsOf(sq), c.held)
	c.arm()
	pragmas := []string{"PRAGMA synchronous=FULL", "PRAGMA temp_store=MEMORY", "PRAGMA trusted_schema=OFF", "PRAGMA busy_timeout=5000", fmt.Sprintf("PRAGMA cache_size=-%d", pages/1024)}
	if write {
		pragmas = append(pragmas, "PRAGMA wal_autocheckpoint=0") // see pool.trimLog
	} else {
		pragmas = append(pragmas, "PRAGMA query_only=ON", "PRAGMA mmap_size=1073741824")
	}
	for _, p := range pragmas {
		if err := c.run(p); err != nil {
			c.closeEngine()
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	if c.funcs, err = register(c); err != nil {
		c.closeEngine()
		return nil, err
	}
	c.funcs.takeTurns()
	if !write {
		return c, nil
	}
	err = c.run("SELECT 1 FROM sqlite_schema") // opens the log
	if err == nil {
		c.log, err = gather(c.funcs.tls, c.funcs.db)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// arm makes the connection fit to run statements. The caller holds mu or is the
// only one to know c.
func (c *conn) arm() {
	c.killed = false
	c.kill = make(chan struct{})
	c.sq.SetInterrupt(c.kill)
}

// run executes a statement that is not kept, to its end.
func (c *conn) run(sql string) error {
	s, _, err := c.sq.PrepareTransient(sql)
	if err != nil {
		return err
	}
	defer s.Finalize()
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
	}
}

// prepare returns the kept statement for s, ready to bind.
func (c *conn) prepare(s *store.Stmt) (*prepared, error) {
	if p := c.stmts[s.SQL]; p != nil && !p.busy {
		return p, nil
	} else if p != nil {
		st, _, err := c.sq.PrepareTransient(numbered(s.SQL))
		return &prepared{Stmt: st}, err
	}
	if parsed := parsedSize * len(s.SQL); parsed > keepLarge {
		if err := c.budget.Charge(parsed); err != nil {
			return nil, err
		}
		defer c.budget.Free(parsed)
	}
	st, rest, err := c.sq.PrepareTransient(numbered(s.SQL))
	if err != nil {
		return nil, limitError(err)
	}
	if rest > 0 {
		st.Finalize()
		return nil, fmt.Errorf("sqlite: more than one statement in %q", s.SQL)
	}
	p := &prepared{Stmt: st}
	if p.size = c.funcs.sizeOf(st); p.size <= keepLarge {
		c.keep(s.SQL, p)
	}
	return p, nil
}

// numbered writes the placeholders $1 to $n of a text as ?1 to ?n: the engine
// takes $1 for a name, and would number names in the order in which they stand.
func numbered(sql string) string {
	var out []byte // nil until there is a placeholder
	quote := byte(0)
	for i := 0; i+1 < len(sql); i++ {
		switch c := sql[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '$' && '0' <= sql[i+1] && sql[i+1] <= '9':
			if out == nil {
				out = []byte(sql)
			}
			out[i] = '?'
		}
	}
	if out == nil {
		return sql
	}
	return string(out)
}

// keep keeps a statement for its next use, in place of the oldest ones.
func (c *conn) keep(sql string, p *prepared) {
	c.unkeepIf(func(old string) bool {
		return (len(c.stmts) >= keepStmts || c.kept+p.size > keepBytes) && !c.stmts[old].busy
	})
	c.stmts[sql] = p
	c.order = append(c.order, sql)
	c.kept += p.size
}

// unkeep frees the statement that is kept for a text, if there is one.
func (c *conn) unkeep(sql string) { c.unkeepIf(func(old string) bool { return old == sql }) }

// unkeepIf frees those of the kept statements, the oldest first.
func (c *conn) unkeepIf(which func(sql string) bool) {
	c.order = slices.DeleteFunc(c.order, func(old string) bool {
		if !which(old) {
			return false
		}
		c.kept -= c.stmts[old].size
		c.stmts[old].Finalize()
		delete(c.stmts, old)
		return true
	})
}

// shed frees what the connection holds and can make again.
func (c *conn) shed() {
	c.forget()
	for _, p := range c.stmts {
		p.Finalize()
	}
	clear(c.stmts)
	c.order, c.kept = nil, 0
	c.funcs.releaseMemory()
}

// done gives a statement back after its use.
func (c *conn) done(s *store.Stmt, p *prepared, args []wire.Value) {
	if c.broken {
		return
	}
	p.busy = false
	if c.stmts[s.SQL] != p {
		p.Finalize()
		return
	}
	p.Reset()
	bound := 0
	for _, v := range args {
		bound += len(v.Raw())
	}
	if bound > keepBound {
		p.ClearBindings()
	}
	c.raised = nil // by an aggregate that was ended before its time
}

// Query runs s; see store.Session.
func (c *conn) Query(s *store.Stmt, args []wire.Value, row func([]wire.Value) error) error {
	if !c.write && !c.looked {
		if err := c.look(); err != nil {
			return err
		}
	}
	p, err := c.prepare(s)
	if err != nil {
		return err
	}
	defer c.done(s, p, args)
	p.busy = true
	bind(p.Stmt, s.Args, args)
	var slab []wire.Value // room for rows to come
	for n := 0; ; n++ {
		more, err := c.step(p)
		if err != nil || !more {
			c.failed = c.failed || err != nil
			return err
		}
		width := len(s.Cols)
		if len(slab) < width {
			slab = make([]wire.Value, width*min(max(1, n), slabRows))
		}
		cells := slab[:width:width]
		slab = slab[width:]
		copies, err := c.cells(p.Stmt, s.Cols, cells)
		if err == nil {
			err = row(cells)
		}
		c.budget.Refund(copies) // a row that is kept is counted where it is
		if err != nil {
			return err
		}
	}
}

// slabRows is how many rows get their cells at once: one that is kept keeps its
// neighbours.
const slabRows = 64

// cells reads a row. It charges the copies of large values before it makes them
// and returns how many bytes they are.
func (c *conn) cells(st *zs.Stmt, types []wire.Type, cells []wire.Value) (copies int, err error) {
	for i, t := range types {
		switch t.Kind {
		case wire.Text, wire.JSON, wire.Bytes, wire.Embedding, wire.Unknown:
			if n := st.ColumnLen(i); n > largeArg {
				if err := c.budget.Charge(n); err != nil {
					return copies, err
				}
				copies += n
			}
		}
		if cells[i], err = column(st, i, t); err != nil {
			return copies, err
		}
	}
	return copies, nil
}

// Exec runs s; see store.Session.
func (c *conn) Exec(s *store.Stmt, args []wire.Value) (int64, error) {
	p, err := c.prepare(s)
	if err != nil {
		return 0, err
	}
	defer c.done(s, p, args)
	p.busy = true
	bind(p.Stmt, s.Args, args)
	for {
		more, err := c.step(p)
		if err != nil {
			return 0, err
		}
		if !more {
			return int64(c.sq.Changes()), nil
		}
	}
}

// step takes a step of a statement. An error of a function is what the function
// said. After a panic the connection is of no use any more.
func (c *conn) step(p *prepared) (more bool, err error) {
	c.broken = true
	more, err = p.Step()
	c.broken = false
	if c.raised != nil {
		err, c.raised = c.raised, nil
	}
	return more, err
}

// Explain asks for the query plan.
func (c *conn) Explain(s *store.Stmt, args []wire.Value) (lines []string, err error) {
	// The engine explains with the indexes that the connection knows: a read looks
	// for new ones, and a kept statement would explain with those of its time.
	if err := c.Query(anyRead, nil, func([]wire.Value) error { return nil }); err != nil {
		return nil, err
	}
	number := wire.Type{Kind: wire.BigInt}
	how := &store.Stmt{
		SQL: "EXPLAIN QUERY PLAN " + s.SQL, Args: s.Args,
		Cols: []wire.Type{number, number, number, {Kind: wire.Text}},
	}
	defer c.unkeep(how.SQL)
	err = c.Query(how, args, func(row []wire.Value) error {
		lines = append(lines, row[3].Text())
		return nil
	})
	return lines, err
}

var anyRead = &store.Stmt{SQL: "SELECT 1 FROM meta LIMIT 1", Cols: []wire.Type{{Kind: wire.BigInt}}}

// Script runs one definition.
func (c *conn) Script(sql string) error { return c.run(sql) }

// Active reports whether the transaction is open.
func (c *conn) Active() bool { return !c.broken && !c.sq.AutocommitEnabled() }

var errBroken = errors.New("sqlite: a panic has ended the connection")

func (c *conn) begin(s *store.Stmt) error {
	_, err := c.Exec(s, nil)
	return err
}

// look gives a reading connection a snapshot of the newest commit, at its first
// statement and not before: what its user has learned by then is in it. It keeps
// the one that it has while nothing was committed: to take one and to let go of
// it is a third of the cost of reading a row. While a commit is under way others
// may have seen what it wrote, so a kept one will not do.
func (c *conn) look() error {
	now := c.pool.commits.Load() // before the snapshot is taken, which may be newer
	if c.Active() && c.seen == now && now%2 == 0 {
		c.looked = true
		return nil
	}
	c.seen = unseen // until a new one is there: this may be interrupted
	c.forget()
	if err := c.begin(beginRead); err != nil {
		return err
	}
	c.seen, c.looked = now, true
	return nil
}

// unseen is a count that pool.commits never has.
const unseen = -1

// forget lets go of the snapshot that a reading connection keeps.
func (c *conn) forget() {
	if c.Active() {
		c.Exec(rollbackStmt, nil)
	}
}

// End ends the transaction and gives the connection back.
func (c *conn) End(commit bool) error {
	c.Unbound() // also after a panic
	c.budget.End()
	defer c.pool.give(c)
	if c.broken {
		return errBroken
	}
	if !c.write {
		if c.failed {
			c.forget()
		}
		c.looked, c.failed = false, false
		return nil
	}
	var err error
	if c.Active() {
		if commit {
			c.pool.committing()
			_, err = c.Exec(commitStmt, nil)
			c.pool.committed()
		}
		if !commit || err != nil && c.Active() {
			c.Exec(rollbackStmt, nil)
		}
	} else if commit {
		err = fmt.Errorf("sqlite: the transaction is not open any more")
	}
	c.log.drop()
	return err
}

var (
	beginRead    = &store.Stmt{SQL: "BEGIN"}
	beginWrite   = &store.Stmt{SQL: "BEGIN IMMEDIATE"}
	commitStmt   = &store.Stmt{SQL: "COMMIT"}
	rollbackStmt = &store.Stmt{SQL: "ROLLBACK"}
)

// close ends the connection. What a panic has left of one is not worth another
// panic: then its memory is lost.
func (c *conn) close() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errBroken
		}
	}()
	for _, p := range c.stmts {
		p.Finalize()
	}
	c.sq.SetInterrupt(nil)
	err = c.closeEngine()
	if c.log != nil {
		c.log.close(c.funcs.tls)
	}
	c.funcs.close()
	return err
}

func (c *conn) closeEngine() error {
	defer holders.Delete(tlsOf(c.sq))
	return c.sq.Close()
}

// bind sets the arguments in the stored form of their types.
func bind(st *zs.Stmt, types []wire.Type, args []wire.Value) {
	for i, v := range args {
		n := i + 1
		switch v.Tag() {
		case wire.TagNull:
			st.BindNull(n)
		case wire.TagBool:
			st.BindBool(n, v.Bool())
		case wire.TagInt:
			if k := types[i].Kind; k == wire.Double || k == wire.Float {
				st.BindFloat(n, v.Float())
			} else {
				st.BindInt64(n, v.Int())
			}
		case wire.TagFloat:
			st.BindFloat(n, v.Float())
		case wire.TagBytes:
			st.BindBytes(n, v.Bytes())
		case wire.TagText:
			if types[i].Kind == wire.Decimal {
				st.BindBytes(n, expr.StoredDecimal(v.Text(), types[i]))
			} else {
				st.BindText(n, v.Text())
			}
		}
	}
}

// column reads a result column from the stored form of its type.
func column(st *zs.Stmt, i int, t wire.Type) (wire.Value, error) {
	stored := st.ColumnType(i)
	if stored == zs.TypeNull {
		return wire.Null, nil
	}
	switch t.Kind {
	case wire.Boolean:
		return wire.BoolValue(st.ColumnInt64(i) != 0), nil
	case wire.Float, wire.Double:
		return wire.FloatValue(st.ColumnFloat(i)), nil
	case wire.Text, wire.JSON, wire.UUID, wire.File, wire.Unknown:
		return wire.TextValue(st.ColumnText(i)), nil
	case wire.Bytes, wire.Embedding:
		return wire.BytesValue(columnBytes(st, i)), nil
	case wire.Decimal:
		text, err := expr.DecodeDecimal(columnBytes(st, i), t.Scale)
		return wire.TextValue(text), err
	case expr.Interval:
		return wire.TextValue(expr.IntervalText(columnBytes(st, i))), nil
	}
	return wire.IntValue(st.ColumnInt64(i)), nil
}

func columnBytes(st *zs.Stmt, i int) []byte {
	b := make([]byte, st.ColumnLen(i))
	st.ColumnBytes(i, b)
	return b
}
