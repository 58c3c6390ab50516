package expr

import "github.com/kalamdb/kalam-go/wire"

// serial is the next number of a counter.
type serial struct {
	id int
	t  wire.Type
}

// Serial is the next number of counter id of the table that is written; the
// type is an integer's. It is evaluated in Go only.
func Serial(id int, t wire.Type) Node { return &serial{id, t} }

// IsNumber reports whether n is the next number of a counter.
func IsNumber(n Node) bool {
	_, ok := n.(*serial)
	return ok
}

func (s *serial) Type() wire.Type { return s.t }

func (s *serial) Eval(env *Env) (wire.Value, error) {
	n, err := env.Serial(s.id)
	if err != nil {
		return wire.Null, err
	}
	return intResult(narrow(n, s.t.Kind))
}

func (s *serial) print(p *Printer) { p.Raw("NULL") }
