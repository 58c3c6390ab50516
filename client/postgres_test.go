//go:build postgres && !js

package client_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/internal/testsize"
)

// sent is a value as a Go program sends it, and the literal that stands for it in
// PostgreSQL; "" is NULL.
type sent struct {
	column  string
	value   any
	literal string
}

// columnTypes are the columns of the compared table, by name.
var columnTypes = []struct{ name, ours, theirs string }{
	{"b", "BOOLEAN", "boolean"}, {"si", "SMALLINT", "smallint"}, {"i", "INT", "int"}, {"big", "BIGINT", "bigint"},
	{"dbl", "DOUBLE", "float8"}, {"dec", "DECIMAL(12,3)", "numeric(12,3)"}, {"num", "NUMERIC", "numeric"},
	{"txt", "TEXT", "text"}, {"vc", "VARCHAR(5)", "varchar(5)"}, {"j", "JSON", "json"}, {"u", "UUID", "uuid"},
	{"raw", "BYTES", "bytea"}, {"ts", "TIMESTAMP", "timestamp"}, {"d", "DATE", "date"}, {"tm", "TIME", "time"},
}

// TestGoValuesAreStoredAsPostgreSQLStoresThem sends random values of every column
// type through the client, into a private and a shared table, and compares what
// the cells then say as text, or that they are refused, with a server that psql
// finds. KALAM_COMPARE_VALUES says how many; a failure names its seed.
func TestGoValuesAreStoredAsPostgreSQLStoresThem(t *testing.T) {
	const each = 200
	s := servertest.Start(t, servertest.Options{})
	admin := signIn(t, s.URL, "admin")
	for seed := range (testsize.Of(t, "KALAM_COMPARE_VALUES", 1000) + each - 1) / each {
		rnd := rand.New(rand.NewPCG(uint64(seed), 23))
		kind := []string{"USER", "SHARED"}[seed%2]
		table := fmt.Sprintf("chat.pg%d", seed)
		var ours, theirs strings.Builder
		for _, c := range columnTypes {
			ours.WriteString(", " + c.name + " " + c.ours)
			theirs.WriteString(", " + c.name + " " + c.theirs)
		}
		mustExec(t, context.Background(), admin, "CREATE "+kind+" TABLE "+table+" (id INT PRIMARY KEY"+ours.String()+")")
		list := make([]sent, each)
		script := "CREATE TEMP TABLE v (id INT PRIMARY KEY" + theirs.String() + ");\n"
		for i := range list {
			list[i] = randomValue(rnd)
			literal := "NULL"
			if list[i].literal != "" {
				literal = "'" + strings.ReplaceAll(list[i].literal, "'", "''") + "'"
			}
			script += fmt.Sprintf("INSERT INTO v (id, %s) VALUES (%d, %s);\n", list[i].column, i, literal)
		}
		want := storedByPostgreSQL(t, script, list)
		for i, v := range list {
			got := "!"
			if _, err := admin.Exec(context.Background(), "INSERT INTO "+table+" (id, "+v.column+") VALUES ($1, $2)", i, v.value); err == nil {
				row, err := admin.QueryRow(context.Background(), "SELECT CAST("+v.column+" AS TEXT) AS x FROM "+table+" WHERE id = $1", i)
				if err != nil {
					t.Fatal(err)
				}
				var text sql.NullString
				if err := row.Scan(&text); err != nil {
					t.Fatal(err)
				}
				got = "NULL"
				if text.Valid {
					got = text.String
				}
			} else if !strings.Contains(err.Error(), "$2") && !strings.Contains(err.Error(), v.column) {
				t.Errorf("seed %d: %T(%v) into %s: the refusal names neither: %v", seed, v.value, v.value, v.column, err)
			}
			if got != want[i] {
				t.Errorf("seed %d: %T(%v) into %s: got %q, PostgreSQL stores %q of %q", seed, v.value, v.value, v.column, got, want[i], v.literal)
			}
		}
	}
}

// storedByPostgreSQL runs a script of INSERTs and returns the text of each cell;
// "!" stands for a refused value.
func storedByPostgreSQL(t *testing.T, script string, list []sent) []string {
	t.Helper()
	script = "SET TimeZone = 'UTC'; SET client_min_messages = error; SET bytea_output = 'hex';\n\\pset null NULL\n" + script
	for i, v := range list {
		script += fmt.Sprintf("SELECT replace(%s::text, chr(10), chr(1)) FROM v WHERE id = %d;\n\\echo '-- %d'\n", v.column, i, i)
	}
	cmd := exec.Command("psql", "-X", "-A", "-t", "-q")
	cmd.Stdin = strings.NewReader(script)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v", err)
	}
	out := make([]string, len(list))
	rest := string(text)
	for i := range list {
		cell, after, ok := strings.Cut(rest, fmt.Sprintf("-- %d\n", i))
		if !ok {
			t.Fatalf("psql answered %d of %d", i, len(list))
		}
		rest = after
		if out[i] = "!"; cell != "" {
			out[i] = strings.ReplaceAll(strings.TrimSuffix(cell, "\n"), "\x01", "\n")
		}
	}
	return out
}

func randomValue(r *rand.Rand) sent {
	c := columnTypes[r.IntN(len(columnTypes))].name
	if r.IntN(20) == 0 {
		return sent{c, nil, ""}
	}
	whole := func() int64 {
		v := int64(r.Uint64())
		return v >> (r.IntN(64))
	}
	switch c {
	case "b":
		v := r.IntN(2) == 0
		return sent{c, v, fmt.Sprint(v)}
	case "si", "i", "big":
		v := whole()
		switch r.IntN(4) {
		case 0:
			return sent{c, int32(v), fmt.Sprint(int32(v))}
		case 1:
			return sent{c, uint64(v), fmt.Sprint(uint64(v))}
		case 2:
			return sent{c, fmt.Sprint(v), fmt.Sprint(v)}
		}
		return sent{c, v, fmt.Sprint(v)}
	case "dbl":
		for {
			v := math.Float64frombits(r.Uint64())
			if r.IntN(2) == 0 {
				v = math.Round(r.NormFloat64()*1e6) / 1e3
			}
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				return sent{c, v + 0, fmt.Sprint(v + 0)}
			}
		}
	case "dec", "num":
		v := new(big.Int).SetInt64(whole())
		if r.IntN(3) == 0 {
			return sent{c, v, v.String()}
		}
		text := fmt.Sprintf("%d.%0*d", whole()>>r.IntN(60), 1+r.IntN(6), r.IntN(100000))
		return sent{c, text, text}
	case "txt", "vc":
		v := randomText(r)
		if r.IntN(3) == 0 {
			return sent{c, []byte(v), v}
		}
		return sent{c, v, v}
	case "j":
		v := []string{`{"a": [1, 2.50, null]}`, `[]`, `"x"`, ` {"b" : true} `, `{"a":`, `nul`, `-0`, `1e400`}[r.IntN(8)]
		return sent{c, v, v}
	case "u":
		var id uuid.UUID
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			return sent{c, strings.ToUpper(id.String()), id.String()}
		}
		return sent{c, id, id.String()}
	case "raw":
		v := make([]byte, r.IntN(40))
		for i := range v {
			v[i] = byte(r.Uint32())
		}
		return sent{c, v, fmt.Sprintf("\\x%x", v)}
	}
	at := time.UnixMicro(r.Int64N(253402300800000000)).UTC() // up to the year 9999
	if r.IntN(3) == 0 {
		at = at.Add(-time.Duration(r.Int64N(1 << 62)))
	}
	switch c {
	case "ts":
		return sent{c, at.In(time.FixedZone("", (r.IntN(25)-12)*3600)), at.Format("2006-01-02 15:04:05.999999")}
	case "d":
		if r.IntN(3) == 0 {
			v := fmt.Sprintf("%04d-%02d-%02d", 1900+r.IntN(200), 1+r.IntN(13), 1+r.IntN(31))
			return sent{c, v, v}
		}
		return sent{c, at, at.Format(time.DateOnly)}
	}
	if r.IntN(2) == 0 {
		return sent{c, at, at.Format("15:04:05.999999")}
	}
	v := time.Duration(r.Int64N(int64(24 * time.Hour))).Truncate(time.Microsecond)
	return sent{c, v, time.Time{}.Add(v).Format("15:04:05.999999")}
}

func randomText(r *rand.Rand) string {
	pieces := []string{"", "a", "it's", `\`, `\x41`, "é", "💧", "\n", " ", "$1", "%", "\u0301", "--", "NULL", "Ω"}
	text := ""
	for range 1 + r.IntN(4) {
		text += pieces[r.IntN(len(pieces))]
	}
	if text == "" {
		return "x" // the helper's "" is NULL
	}
	return text
}
