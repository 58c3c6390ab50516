package ddl

import (
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/wire"
)

var _ = enter(always[*dialect.SetVar](right.Need{Right: right.Administer, What: "SET"}), func(r *Request, s *dialect.SetVar) (*Statement, error) {
	return nil, r.fail(s.Pos(), wire.CodeUnsupported, "SET ", s.Name[len(s.Name)-1].Name,
		" is not supported: a request has no settings of its own, and those of the server are in its configuration (SHOW ALL)")
})
