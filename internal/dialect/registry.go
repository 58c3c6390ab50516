package dialect

// A statement can live in one file: its node, how it is parsed (entered with
// begins), and how it is printed and walked (methods of the node).

// printed is a statement that prints itself.
type printed interface{ print(p *printer) }

// walked is a node that hands its parts to a visitor of the tree.
type walked interface{ walk(fn func(Node) bool) }

// openers take the statements that begin with two words, by these.
var openers = map[string]map[string]func(p *parser, at at) Statement{}

// begins enters what takes a statement whose first two words are these, from
// behind them. at is where it begins.
func begins(first, second string, take func(p *parser, at at) Statement) struct{} {
	if openers[first] == nil {
		openers[first] = make(map[string]func(*parser, at) Statement)
	}
	openers[first][second] = take
	return struct{}{}
}

// opened takes a statement of openers; nil if it is none.
func (p *parser) opened(at at) Statement {
	seconds := openers[p.tok.word]
	if seconds == nil || p.peek(1).kind != tokWord {
		return nil
	}
	take := seconds[p.peek(1).word]
	if take == nil {
		return nil
	}
	p.advance()
	p.advance()
	return take(p, at)
}
