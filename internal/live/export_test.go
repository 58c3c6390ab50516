package live

import "github.com/kalamdb/kalam-go/wire"

// Rows is system.live.
func (h *Hub) Rows() [][]wire.Value { return h.rows() }
