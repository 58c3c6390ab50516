package ddl

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var _ = enter(always[*dialect.KillLive](right.Need{Right: right.Administer, What: "KILL LIVE QUERY"}), func(r *Request, s *dialect.KillLive) (*Statement, error) {
	return reading(func(*store.Tx) (wire.Result, error) {
		if r.KillLive == nil || !r.KillLive(s.ID) {
			return wire.Result{}, r.fail(s.Pos(), wire.CodeNotFound, "there is no live query '", s.ID, "'; the column live_id of system.live has their ids")
		}
		return r.done("Live query '" + s.ID + "' ended"), nil
	}), nil
})
