package expr

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/budget"
)

// regex is a compiled expression. The standard library cannot be stopped in the
// middle of a long text, nor go on from a place with what stands before it, so
// matches are found by a machine of our own over the same program: a set of
// threads in lock step, whose steps are the length of the text times that of the
// program at most. A short text goes to the standard library, which is quicker.
type regex struct {
	std     *regexp.Regexp
	prog    *syntax.Prog
	prefix  string // that every match begins with
	longest bool   // of the matches at the leftmost place; else the preferred one
	groups  int    // with the whole match
	weight  int    // in memory, roughly
}

// shortWork is how many steps the standard library is trusted with.
const shortWork = 1 << 18

// matches reports whether s holds a match.
func (re *regex) matches(b *budget.Budget, s string) (bool, error) {
	if len(s)*len(re.prog.Inst) <= shortWork {
		return re.std.MatchString(s), nil
	}
	m := newMatcher(re, b, 0)
	return m.find(s, 0)
}

// first returns the places of the first match and its groups, nil for none.
func (re *regex) first(b *budget.Budget, s string) (found []int, err error) {
	if len(s)*len(re.prog.Inst) <= shortWork {
		return re.std.FindStringSubmatchIndex(s), nil
	}
	err = re.each(b, s, func(m []int) bool {
		found = m
		return false
	})
	return found, err
}

// each calls fn with the places of each match and its groups, until it returns
// false. The slice is reused. The search goes on where a match ends, and behind
// the next character after an empty one.
func (re *regex) each(b *budget.Budget, s string, fn func(m []int) bool) error {
	m := newMatcher(re, b, 2*re.groups)
	for pos := 0; pos <= len(s); {
		ok, err := m.find(s, pos)
		if err != nil || !ok || !fn(m.match) {
			return err
		}
		pos = m.match[1]
		if m.match[0] == m.match[1] {
			_, w := utf8.DecodeRuneInString(s[pos:])
			pos += max(w, 1)
		}
	}
	return nil
}

// matcher runs the program of an expression.
type matcher struct {
	re        *regex
	b         *budget.Budget
	width     int // how many places a thread keeps
	now, next threads
	found     bool  // a match, in this find
	match     []int // its places
	places    []int // of the thread that is being added
}

// threads is a set of threads by their instruction, in the order of preference.
type threads struct {
	at     []uint32 // where the thread of an instruction is in list
	list   []uint32 // instructions
	places []int    // width for each of list
}

func newMatcher(re *regex, b *budget.Budget, width int) *matcher {
	n := len(re.prog.Inst)
	set := func() threads {
		return threads{at: make([]uint32, n), list: make([]uint32, 0, n), places: make([]int, n*width)}
	}
	return &matcher{re: re, b: b, width: width, now: set(), next: set(), match: make([]int, width), places: make([]int, width)}
}

func (t *threads) has(pc uint32) bool {
	i := t.at[pc]
	return int(i) < len(t.list) && t.list[i] == pc
}

// find looks for the leftmost match from pos on and leaves it in match.
func (m *matcher) find(s string, pos int) (bool, error) {
	m.now.list, m.next.list, m.found = m.now.list[:0], m.next.list[:0], false
	anchored := m.re.prog.StartCond()&syntax.EmptyBeginText != 0
	for {
		if len(m.now.list) == 0 {
			if m.found || anchored && pos > 0 {
				return m.found, nil
			}
			skip := strings.Index(s[pos:], m.re.prefix)
			if skip < 0 {
				return false, nil
			}
			pos += skip
		}
		before, here, after, width := around(s, pos)
		if !m.found {
			m.start(pos, syntax.EmptyOpContext(before, here))
		}
		if err := m.b.Spend(1 + len(m.now.list)); err != nil {
			return false, err
		}
		m.step(pos, width, here, syntax.EmptyOpContext(here, after))
		if width == 0 || m.found && m.width == 0 {
			return m.found, nil
		}
		pos += width
		m.now, m.next = m.next, m.now
		m.next.list = m.next.list[:0]
	}
}

// around returns the characters at pos and beside it, -1 for none, and the width
// of the one at pos.
func around(s string, pos int) (before, here, after rune, width int) {
	before, here, after = -1, -1, -1
	if pos > 0 {
		before, _ = utf8.DecodeLastRuneInString(s[:pos])
	}
	if pos < len(s) {
		here, width = utf8.DecodeRuneInString(s[pos:])
	}
	if pos+width < len(s) {
		after, _ = utf8.DecodeRuneInString(s[pos+width:])
	}
	return before, here, after, width
}

// start adds a thread at the beginning of the program, as the least preferred.
func (m *matcher) start(pos int, context syntax.EmptyOp) {
	for i := range m.places {
		m.places[i] = -1
	}
	if m.width > 0 {
		m.places[0] = pos
	}
	m.add(&m.now, uint32(m.re.prog.Start), pos, context)
}

// step moves every thread over the character at pos, and takes the match of one
// that is at the end of the program. context is what lies between the character
// and the next one.
func (m *matcher) step(pos, width int, here rune, context syntax.EmptyOp) {
	for i, pc := range m.now.list {
		places := m.now.places[i*m.width : (i+1)*m.width]
		switch in := &m.re.prog.Inst[pc]; {
		case in.Op == syntax.InstMatch:
			if m.take(places, pos); !m.re.longest {
				return // those that follow are less preferred
			}
		case in.Op >= syntax.InstRune && here >= 0 && takes(in, here):
			copy(m.places, places)
			m.add(&m.next, in.Out, pos+width, context)
		}
	}
}

// take keeps a match that ends at pos if it is the first, or further to the left
// or longer than the one that was kept. Without longest each that comes is
// preferred to those before.
func (m *matcher) take(places []int, pos int) {
	if m.width == 0 || m.found && m.re.longest && (places[0] > m.match[0] || places[0] == m.match[0] && pos <= m.match[1]) {
		m.found = true
		return
	}
	copy(m.match, places)
	m.match[1], m.found = pos, true
}

func takes(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRune1:
		return r == in.Rune[0]
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return in.MatchRune(r)
}

// add adds the thread of an instruction, with the places in m.places, or those
// that it leads to without taking a character.
func (m *matcher) add(t *threads, pc uint32, pos int, context syntax.EmptyOp) {
	if t.has(pc) {
		return
	}
	t.at[pc] = uint32(len(t.list))
	t.list = append(t.list, pc)
	in := &m.re.prog.Inst[pc]
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		m.add(t, in.Out, pos, context)
		m.add(t, in.Arg, pos, context)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(in.Arg)&^context == 0 {
			m.add(t, in.Out, pos, context)
		}
	case syntax.InstNop:
		m.add(t, in.Out, pos, context)
	case syntax.InstCapture:
		if int(in.Arg) >= m.width {
			m.add(t, in.Out, pos, context)
			return
		}
		old := m.places[in.Arg]
		m.places[in.Arg] = pos
		m.add(t, in.Out, pos, context)
		m.places[in.Arg] = old
	case syntax.InstMatch, syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		i := len(t.list) - 1
		copy(t.places[i*m.width:(i+1)*m.width], m.places)
	}
}
