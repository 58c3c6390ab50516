package engine

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// OnKillLive says what KILL LIVE QUERY calls: kill ends the live query of that
// id in system.live and reports whether there was one. It is called once, before
// the engine serves; without it there are no live queries to kill.
func (e *Engine) OnKillLive(kill func(id string) bool) { e.killLive = kill }

// kill plans KILL LIVE QUERY.
func (r *run) kill(p *plan, s *dialect.KillLive) {
	p.reads = true
	p.other = func(r *run, _ *store.Tx, p *plan) (wire.Result, error) {
		if r.e.killLive == nil || !r.e.killLive(s.ID) {
			return wire.Result{}, at(p.source, s.Pos(), wire.NewError(wire.CodeNotFound, "there is no live query '", s.ID, "'; the column live_id of system.live has their ids"))
		}
		return r.done("Live query '" + s.ID + "' ended"), nil
	}
}
