package engine

import (
	"context"
	"errors"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// block is a transaction being run, statement after statement. A savepoint is a
// nested run: of what follows it, up to the statement that drops it or returns
// to it.
type block struct {
	r       *run
	tx      *store.Tx
	parts   []part
	results []wire.Result
}

// stop is where a nested run ended: at a statement about the savepoint of that
// name, or, with no name, at the end of the block.
type stop struct {
	name string
	at   int
	undo bool // ROLLBACK TO, not RELEASE
}

// from runs the statements from i on.
func (b *block) from(ctx context.Context, i int) (stop, error) {
	for ; i < len(b.parts); i++ {
		switch s := b.parts[i].stmt.(type) {
		case *dialect.Savepoint:
			b.results = append(b.results, b.r.done("Savepoint "+s.Name.Name))
			end, err := b.savepoint(ctx, s.Name.Name, i+1)
			if err != nil || end.name != s.Name.Name {
				return end, err
			}
			b.results = append(b.results, b.r.done("Savepoint "+s.Name.Name+" released"))
			i = end.at
		case *dialect.Release:
			return stop{name: s.Name.Name, at: i}, nil
		case *dialect.RollbackTo:
			return stop{name: s.Name.Name, at: i, undo: true}, nil
		default:
			res, err := b.statement(ctx, &b.parts[i])
			if err != nil {
				return stop{}, inStatement(b.parts[i].number, err)
			}
			b.results = append(b.results, res)
		}
	}
	return stop{}, nil
}

var errUndo = errors.New("return to a savepoint")

// savepoint runs the statements from i on so that they can be undone. The
// savepoint outlives a return to it.
func (b *block) savepoint(ctx context.Context, name string, i int) (end stop, err error) {
	for {
		err = b.tx.Savepoint(func() error {
			var err error
			end, err = b.from(ctx, i)
			if err == nil && end.undo {
				return errUndo
			}
			return err
		})
		if err != nil && !errors.Is(err, errUndo) {
			return stop{}, err
		}
		if !end.undo || end.name != name {
			return end, nil
		}
		b.results = append(b.results, b.r.done("Rolled back to savepoint "+name))
		i = end.at + 1
	}
}

// statement runs one statement of the transaction.
func (b *block) statement(ctx context.Context, s *part) (wire.Result, error) {
	p, err := b.r.ready(ctx, s)
	if err != nil {
		return wire.Result{}, err
	}
	if err := b.r.checkFiles(p); err != nil {
		return wire.Result{}, err
	}
	if p.streamWrite() {
		return wire.Result{}, wire.NewError(wire.CodeUnsupported, "stream tables are not supported inside explicit transactions")
	}
	return b.r.exec(b.tx, p, s.params)
}
