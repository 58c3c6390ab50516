package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/kalamdb/kalam-go/wire"
)

// cells are the columns n and t of a row; either may be NULL.
type cells struct {
	n     int
	t     string
	noN   bool
	noT   bool
	owner int
}

// sql gives n and t as literals.
func (c cells) sql() (n, t string) {
	n, t = fmt.Sprint(c.n), "'"+c.t+"'"
	if c.noN {
		n = "NULL"
	}
	if c.noT {
		t = "NULL"
	}
	return n, t
}

func (c cells) insert(table string, id int) string {
	n, t := c.sql()
	return fmt.Sprintf("INSERT INTO %s (id, w, n, t) VALUES (%d, %d, %s, %s)", table, id, c.owner, n, t)
}

// step is what one transaction of a writer did: the rows that it touched as they
// are after it, nil for those that are gone.
type step struct {
	void     bool // it was rolled back
	absolute bool // rows are all there are
	rows     map[int]*cells
}

// author is a writer with ids of its own in one table. Its last statement in
// each transaction counts them in a row of its own, the mark, whose id is
// -(number+1): whoever sees the mark at n has seen its transactions up to n.
type author struct {
	number int
	table  string

	mu    sync.Mutex
	steps []step // mu guards it; a step is here before its transaction is sent
}

func (a *author) mark() int { return -a.number - 1 }

// began notes a transaction and gives its number, from 1.
func (a *author) began(s step) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps = append(a.steps, s)
	return len(a.steps)
}

func (a *author) voided(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps[n-1].void = true
}

// count is how many transactions have begun.
func (a *author) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.steps)
}

// replay makes the changes of the transactions after one up to another, and
// gives the ids that they touched.
func (a *author) replay(rows map[int]cells, after, upTo int) map[int]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	touched := map[int]bool{}
	for _, s := range a.steps[after:upTo] {
		if s.void {
			continue
		}
		if s.absolute {
			for id := range rows {
				touched[id] = true
			}
			clear(rows)
		}
		for id, c := range s.rows {
			touched[id] = true
			if c == nil {
				delete(rows, id)
			} else {
				rows[id] = *c
			}
		}
	}
	return touched
}

const authors = 4 // of each table

// write makes about n changes. connect gives a connection to the server there
// is; the one before it was lost.
func (a *author) write(n int, rnd *rand.Rand, connect func() *conn, changed func(int)) error {
	rows := map[int]cells{} // as acknowledged
	next := 0
	c := connect()
	run := func(sql string) error {
		_, err := c.ask(context.Background(), &wire.Request{SQL: sql})
		return err
	}
	unknown := false // whether the last transaction was done
	for done := 0; done < n; {
		after := maps.Clone(rows)
		s := step{rows: map[int]*cells{}}
		var texts []string
		if unknown {
			// What is there is unknown: all of it is made anew.
			s.absolute = true
			texts = append(texts, fmt.Sprintf("DELETE FROM %s WHERE w = %d AND id > 0", a.table, a.number))
			for id, r := range rows {
				texts = append(texts, r.insert(a.table, id))
				s.rows[id] = &r
			}
		} else {
			for range 1 + rnd.IntN(1+rnd.IntN(6)) {
				text, touched := a.change(after, &next, rnd)
				texts = append(texts, text)
				for _, id := range touched {
					s.rows[id] = nil
					if r, ok := after[id]; ok {
						s.rows[id] = &r
					}
				}
			}
		}
		void := ""
		if !unknown {
			void = []string{"", "", "", "", "", "", "ROLLBACK", "SELECT 1/0; COMMIT"}[rnd.IntN(8)]
		}
		number := a.began(s)
		texts = append(texts, fmt.Sprintf("UPDATE %s SET n = %d WHERE id = %d", a.table, number, a.mark()))
		if number == 1 {
			texts[len(texts)-1] = fmt.Sprintf("INSERT INTO %s (id, w, n, t) VALUES (%d, %d, 1, NULL)", a.table, a.mark(), a.number)
			void = ""
		}
		end := "COMMIT"
		if void != "" {
			end = void
		}
		err := run("BEGIN; " + strings.Join(texts, "; ") + "; " + end)
		var refused *wire.Error
		switch {
		case errors.As(err, &refused) && strings.HasPrefix(void, "SELECT"), err == nil && void == "ROLLBACK":
			a.voided(number)
		case errors.As(err, &refused):
			return fmt.Errorf("%s: %w", texts, err)
		case err != nil && number == 1:
			return fmt.Errorf("the server is lost before it wrote: %w", err)
		case err != nil && void != "":
			a.voided(number) // whatever became of it
			c = connect()
		case err != nil:
			unknown = true
			c = connect()
		default:
			rows, unknown = after, false
		}
		done += len(texts)
		changed(len(texts))
	}
	if unknown {
		return errors.New("the server is lost at the end")
	}
	return nil
}

// change makes up a change of the rows, makes it, and gives its text and the
// ids that it touched.
func (a *author) change(rows map[int]cells, next *int, rnd *rand.Rand) (string, []int) {
	some := func() int {
		ids := slices.Sorted(maps.Keys(rows))
		return ids[rnd.IntN(len(ids))]
	}
	newID := func() int { *next++; return *next*authors + a.number }
	r := cells{
		n: rnd.IntN(100), t: []string{"in", "out", "x", "in it", "In"}[rnd.IntN(5)],
		noN: rnd.IntN(8) == 0, noT: rnd.IntN(8) == 0, owner: a.number,
	}
	k := rnd.IntN(10)
	if len(rows) == 0 || len(rows) < 60 && k == 9 {
		k = 0
	}
	switch {
	case k < 4 && len(rows) < 60:
		id := newID()
		rows[id] = r
		return r.insert(a.table, id), []int{id}
	case k < 7:
		id := some()
		rows[id] = r
		n, t := r.sql()
		return fmt.Sprintf("UPDATE %s SET n = %s, t = %s WHERE id = %d", a.table, n, t, id), []int{id}
	case k < 8: // another key
		from, to := some(), newID()
		delete(rows, from)
		rows[to] = r
		n, t := r.sql()
		return fmt.Sprintf("UPDATE %s SET id = %d, n = %s, t = %s WHERE id = %d", a.table, to, n, t, from), []int{from, to}
	case k < 9: // many at once
		step := rnd.IntN(9) - 4
		var touched []int
		for id, r := range rows {
			if !r.noN && r.n > 80 {
				r.n += step
				rows[id] = r
				touched = append(touched, id)
			}
		}
		return fmt.Sprintf("UPDATE %s SET n = n + %d WHERE w = %d AND id > 0 AND n > 80", a.table, step, a.number), touched
	}
	id := some()
	delete(rows, id)
	return fmt.Sprintf("DELETE FROM %s WHERE id = %d", a.table, id), []int{id}
}
