package ddl

import (
	"cmp"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Quota limits what the tables of one user may come to together: every
// definition costs the whole server memory and time. It does not bind dba and
// system, who alone make namespaces and topics. The zero value works.
type Quota struct {
	Tables  int // default 200
	Columns int // those included that were dropped and take room still; default 5,000
	Indexes int // default 500
}

func (q Quota) withDefaults() Quota {
	return Quota{cmp.Or(q.Tables, 200), cmp.Or(q.Columns, 5000), cmp.Or(q.Indexes, 500)}
}

// checkQuota refuses a definition, new or changed, that takes its owner beyond
// what a user may define, when it is more than before.
func (r *Request) checkQuota(tx *store.Tx, t *catalog.Table) error {
	if r.Who.IsAdmin() {
		return nil
	}
	var before, after [3]int
	count := func(n *[3]int, t *catalog.Table) {
		n[0]++
		n[1] += len(t.Columns) + len(t.Unused)
		n[2] += len(t.Indexes)
	}
	tx.Catalog().Owned(t.Owner, func(have *catalog.Table) {
		count(&before, have)
		if have.ID != t.ID {
			count(&after, have)
		}
	})
	count(&after, t)
	q := r.Quota.withDefaults()
	for i, limit := range []struct {
		most      int
		what, key string
	}{{q.Tables, "tables", "max_tables_per_user"}, {q.Columns, "columns", "max_columns_per_user"}, {q.Indexes, "indexes", "max_indexes_per_user"}} {
		if after[i] > limit.most && after[i] > before[i] {
			return wire.NewError(wire.CodeQuotaExceeded, "the tables of ", t.Owner, " would have ", strconv.Itoa(after[i]), " ", limit.what,
				" together; a user may have ", strconv.Itoa(limit.most), " (limits.", limit.key, "): drop some that are not used, or let a dba create them")
		}
	}
	return nil
}
