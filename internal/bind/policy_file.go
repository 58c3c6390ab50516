package bind

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// HoldsFile prints the query for a row that the policies of a table show and whose
// FILE cell is between two parameters, which FileRange gives.
func (b *Binder) HoldsFile(t *catalog.Table, target expr.Target) (Printed, error) {
	r, err := b.rowsOf(t, nil, catalog.Select)
	if err != nil {
		return Printed{}, err
	}
	p := expr.NewPrinter(target)
	p.Raw("SELECT 1")
	r.printAlone(p, nil, func() {
		p.Raw("(")
		for i, c := range t.FileColumns() {
			if i > 0 {
				p.Raw(" OR ")
			}
			p.Raw(r.cols[c].column.SQL + " >= ")
			p.Arg(expr.Arg{Kind: expr.ArgParam, N: 1, Type: wire.Type{Kind: wire.Text}})
			p.Raw(" AND " + r.cols[c].column.SQL + " < ")
			p.Arg(expr.Arg{Kind: expr.ArgParam, N: 2, Type: wire.Type{Kind: wire.Text}})
		}
		p.Raw(")")
	})
	p.Raw(" LIMIT 1")
	return Printed{SQL: p.SQL(), Args: p.Args(), Cols: []wire.Type{{Kind: wire.BigInt}}}, nil
}

// FileRange is between which texts every FILE cell lies that refers to the file of
// that id. The id is how such a cell begins, so an index on the column serves it.
func FileRange(id string) []wire.Value {
	begin := `{"id":` + string(wire.AppendString(nil, id))
	return []wire.Value{wire.TextValue(begin), wire.TextValue(begin[:len(begin)-1] + "#")} // the character behind the quote
}
