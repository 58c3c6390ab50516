package ddl

import (
	"context"
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var _ = enter(always[*dialect.KillLive](right.Need{Right: right.Administer, What: "KILL LIVE QUERY"}), func(r *Request, s *dialect.KillLive) (*Statement, error) {
	return &Statement{
		Before: func(context.Context) error {
			if !r.lives(s.ID) {
				return r.fail(s.Pos(), wire.CodeNotFound, "there is no live query '", s.ID, "'; the column live_id of system.live has their ids")
			}
			return nil
		},
		run: func(tx *store.Tx) (wire.Result, error) {
			id, err := strconv.ParseInt(s.ID, 10, 64)
			tx.Tell(store.Notice{Killed: []int64{id}})
			return r.done("Live query '" + s.ID + "' ended"), err
		},
	}, nil
})

// lives reports whether there is a live query of an id. Live queries are above
// this package; what it knows of them is the table system.live.
func (r *Request) lives(id string) bool {
	t := r.DB.Catalog().Table(catalog.SystemNamespace, "live")
	if t == nil {
		return false
	}
	column := t.Column("live_id")
	return slices.ContainsFunc(t.Rows(), func(row []wire.Value) bool { return row[column].Text() == id })
}
