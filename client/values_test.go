//go:build !js

package client_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

type (
	level  string
	count  int32
	ratio  float32
	octet  byte
	octets []octet
	stamp  time.Time
	hidden struct{ n int }
	point  struct {
		X int    `json:"x"`
		S string `json:"s,omitempty"`
	}
)

type unsayable struct{}

func (unsayable) MarshalText() ([]byte, error) { return nil, errors.New("cannot be said") }

// TestGoValuesAreStoredOrRefused is the table of docs/go.md: each value into a column, and what the column then holds as text; or what the
// refusal says, which names the argument.
func TestGoValuesAreStoredOrRefused(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	admin, c := signIn(t, s.URL, "admin"), signIn(t, s.URL, "alice")
	mustExec(t, ctx, admin, `CREATE TABLE chat.v (id INT PRIMARY KEY, b BOOLEAN, si SMALLINT, i INT, big BIGINT, f FLOAT, dbl DOUBLE, dec DECIMAL(30,2),
		txt TEXT, j JSON, u UUID, raw BYTES, ts TIMESTAMP, d DATE, tm TIME, e EMBEDDING(3)) WITH (TYPE = 'USER')`)
	seven, text := 7, "seven"
	id := uuid.MustParse("0195f6a0-7c1e-7000-8000-000000000000")
	at := time.Date(2024, 1, 2, 3, 4, 5, 678901234, time.UTC)
	zoned := time.Date(2024, 1, 2, 12, 30, 0, 0, time.FixedZone("", 2*3600))
	const refused = "!"
	for i, v := range []struct {
		value  any
		column string
		want   string
	}{
		{nil, "txt", "NULL"}, {(*int)(nil), "i", "NULL"}, {[]byte(nil), "raw", "NULL"}, {map[string]int(nil), "j", "NULL"}, {(*big.Int)(nil), "dec", "NULL"},
		{true, "b", "true"}, {int8(-5), "si", "-5"}, {count(7), "i", "7"}, {uint16(65535), "i", "65535"}, {int64(math.MinInt64), "big", "-9223372036854775808"},
		{uint64(math.MaxUint64), "dec", "18446744073709551615.00"}, {uint64(math.MaxUint64), "big", refused}, {int64(1) << 40, "i", refused},
		{float32(0.1), "dbl", "0.1"}, {ratio(0.1), "dbl", "0.1"}, {0.5, "f", "0.5"}, {math.NaN(), "dbl", refused}, {float32(math.Inf(1)), "dbl", refused},
		{"it's", "txt", "it's"}, {level("high"), "txt", "high"}, {&text, "txt", "seven"}, {&seven, "i", "7"}, {json.Number("12.5"), "dec", "12.50"},
		{[]byte("hi"), "txt", "hi"}, {[]byte("hi \u00e9"), "raw", "\\x686920c3a9"}, {[]byte{0, 255, '\\'}, "raw", "\\x00ff5c"}, {[]byte(`a\b`), "raw", "\\x615c62"},
		{"\xff", "txt", refused}, {level("a\xffb"), "txt", refused}, {stamp(zoned), "ts", "2024-01-02T10:30:00Z"}, {stamp(zoned), "d", "2024-01-02"},
		{24 * time.Hour, "tm", "24:00:00"}, {octets{1, 2}, "raw", "\\x0102"}, {netip.MustParsePrefix("10.0.0.0/8"), "txt", "10.0.0.0/8"},
		{[]byte("abcd"), "raw", "\\x61626364"}, {[]byte(`\x00`), "raw", "\\x5c783030"}, {[]byte(`a\b`), "txt", `a\b`}, {[]byte(`{"a":"\n"}`), "j", `{"a":"\n"}`},
		{[]byte{0xff}, "txt", refused}, {[]byte{'a', 0}, "txt", refused}, {[]byte{0xff}, "j", refused}, {[2]byte{0xff}, "txt", refused}, {[]byte{}, "txt", ""},
		{[]byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64}, "e", refused}, {[]byte("[1,2,3]"), "e", "[1,2,3]"},
		{[]byte{}, "raw", "\\x"}, {[3]byte{1, 2, 3}, "raw", "\\x010203"}, {[]byte(`{"a":1}`), "j", `{"a":1}`},
		{json.RawMessage(`{"a":"\\n"}`), "j", `{"a":"\\n"}`}, {point{1, "x"}, "j", `{"x":1,"s":"x"}`}, {&point{X: 2}, "j", `{"x":2}`},
		{map[string]any{"a": []int{1}}, "j", `{"a":[1]}`}, {[]string{"a"}, "j", `["a"]`}, {[]int{}, "j", `[]`},
		{time.Minute, "tm", "00:01:00"}, {26*time.Hour - time.Millisecond, "tm", refused}, {3*time.Hour + 1500*time.Microsecond, "tm", "03:00:00.0015"},
		{-time.Second, "tm", refused}, {time.Minute, "big", refused}, {time.Minute, "txt", "00:01:00"},
		{at, "ts", "2024-01-02T03:04:05.678901Z"}, {at, "d", "2024-01-02"}, {at, "tm", "03:04:05.678901"}, {&at, "d", "2024-01-02"}, {zoned, "ts", "2024-01-02T10:30:00Z"},
		{sql.NullString{String: "x", Valid: true}, "txt", "x"}, {sql.NullInt64{}, "big", "NULL"}, {sql.NullTime{Time: at, Valid: true}, "ts", "2024-01-02T03:04:05.678901Z"},
		{sql.Null[time.Duration]{V: time.Minute, Valid: true}, "tm", "00:01:00"},
		{id, "u", id.String()}, {&id, "u", id.String()}, {uuid.NullUUID{}, "u", "NULL"}, {[16]byte(id), "raw", "\\x" + strings.ReplaceAll(id.String(), "-", "")},
		{big.NewInt(12), "dec", "12.00"}, {new(big.Int).Lsh(big.NewInt(1), 70), "dec", "1180591620717411303424.00"}, {netip.MustParseAddr("::1"), "txt", "::1"},
		{[]float32{0.1, 2, -3}, "e", "[0.1,2,-3]"}, {[]float64{1, 2, 3}, "e", "[1,2,3]"}, {[3]float32{1, 2, 3}, "e", "[1,2,3]"}, {[]float32{float32(math.NaN())}, "e", refused},
		{hidden{1}, "j", refused}, {func() {}, "txt", refused}, {make(chan int), "txt", refused}, {complex(1, 2), "dbl", refused}, {unsayable{}, "txt", refused},
	} {
		what := fmt.Sprintf("%T(%v) into %s", v.value, v.value, v.column)
		_, err := c.Exec(ctx, "INSERT INTO chat.v (id, "+v.column+") VALUES ($1, $2)", i, v.value)
		if v.want == refused {
			if err == nil || !strings.Contains(err.Error(), "$2") {
				t.Errorf("%s: got %v", what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		row, err := c.QueryRow(ctx, "SELECT "+v.column+" AS x FROM chat.v WHERE id = $1", i)
		got := strings.TrimSuffix(strings.TrimPrefix(row.String(), "{x: "), "}")
		if row.Value("x").Tag() != 0 && !strings.HasPrefix(got, "\\x") {
			got = row.Text("x")
		}
		if err != nil || got != v.want {
			t.Errorf("%s: stored as %s, not %s (%v)", what, got, v.want, err)
		}
		// The same type takes the cell again; a time with microseconds, JSON and a
		// DECIMAL as the server writes them.
		if back := reflect.ValueOf(v.value); v.value != nil && back.Kind() != reflect.Pointer && v.want != "NULL" {
			into := reflect.New(back.Type())
			if err := row.Scan(into.Interface()); err != nil && v.column != "txt" && v.column != "dec" && !(v.column == "tm" && back.Type() == reflect.TypeFor[time.Time]()) {
				t.Errorf("%s: scan: %v", what, err)
			} else if again := into.Elem().Interface(); err == nil && !strings.Contains("j ts d tm dec", v.column) && !reflect.DeepEqual(again, v.value) {
				t.Errorf("%s: comes back as %v", what, again)
			}
		}
	}
}

// TestTimeIsStoredAsItsColumnReadsIt: an instant into TIMESTAMP and DATETIME, and
// the date and the clock that the program sees into DATE and TIME; wherever a
// parameter stands.
func TestTimeIsStoredAsItsColumnReadsIt(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	admin, c := signIn(t, s.URL, "admin"), signIn(t, s.URL, "alice")
	mustExec(t, ctx, admin, "CREATE TABLE chat.times (id INT PRIMARY KEY, ts TIMESTAMP, dt DATETIME, d DATE, tm TIME, txt TEXT) WITH (TYPE = 'USER')")
	in := func(zone string) *time.Location {
		z, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	berlin, newYork, kolkata, auckland := in("Europe/Berlin"), in("America/New_York"), in("Asia/Kolkata"), in("Pacific/Auckland")
	for i, at := range []time.Time{
		time.Date(2024, 1, 2, 12, 0, 0, 0, time.UTC),
		time.Date(2024, 1, 2, 0, 30, 0, 0, berlin),                // the day before in UTC
		time.Date(2024, 12, 31, 23, 59, 59, 999999000, newYork),   // the next year in UTC
		time.Date(2024, 3, 31, 1, 59, 59, 0, berlin),              // a second before the clocks go forward
		time.Date(2024, 3, 31, 3, 0, 0, 0, berlin),                // and after
		time.Date(2024, 10, 27, 0, 30, 0, 0, time.UTC).In(berlin), // half past two, summer time
		time.Date(2024, 10, 27, 1, 30, 0, 0, time.UTC).In(berlin), // half past two once more
		time.Date(2024, 2, 29, 4, 15, 0, 1000, kolkata),
		time.Date(2024, 2, 29, 1, 0, 0, 0, auckland),
		time.Date(2024, 2, 28, 23, 0, 0, 0, time.FixedZone("", -12*3600)),
		time.Date(1880, 1, 1, 0, 10, 0, 0, time.FixedZone("", 19*60+32)), // the old time of Amsterdam
		time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
	} {
		instant, date, clock := at.UTC().Format("2006-01-02T15:04:05.999999Z"), at.Format("2006-01-02"), at.Format("15:04:05.999999")
		id := 10 * i
		mustExec(t, ctx, c, "INSERT INTO chat.times (id, ts, dt, d, tm, txt) VALUES ($1, $2, $3, $4, $5, $6)", id, at, at, at, &at, at)
		mustExec(t, ctx, c, "INSERT INTO chat.times (id, ts, dt, d, tm) SELECT $1, $2, $3, $4, $5", id+1, at, at, at, at)
		mustExec(t, ctx, c, "INSERT INTO chat.times (id) VALUES ($1)", id+2)
		mustExec(t, ctx, c, "UPDATE chat.times SET ts = $2, dt = $3, d = $4, tm = $5 WHERE id = $1", id+2, at, at, at, sql.NullTime{Time: at, Valid: true})
		for n := range 3 {
			row, err := c.QueryRow(ctx, "SELECT ts, dt, d, tm FROM chat.times WHERE id = $1", id+n)
			if err != nil {
				t.Fatal(err)
			}
			if got := [4]string{row.Text("ts"), row.Text("dt"), row.Text("d"), row.Text("tm")}; got != [4]string{instant, instant, date, clock} || !row.Time("ts").Equal(at) {
				t.Errorf("%v in row %d: stored as %v", at, n, got)
			}
		}
		for _, where := range []string{
			"ts = $2", "$2 = dt", "d = $2", "tm = $2", "ts BETWEEN $2 AND $2", "ts IN ($2)", "d IN ($2, NULL)", "(ts, d) = ($2, $3)", "ts = COALESCE($2, ts)",
			"ts = $2::timestamp", "dt = $2::timestamptz", "d = $2::date", "NOT ts < $2 AND ts <= $2", "ts = (SELECT $2::timestamp)", "CASE WHEN ts = $2 THEN true END",
		} {
			args := []any{id, at}
			if strings.Contains(where, "$3") {
				args = append(args, at)
			}
			if n, err := c.QueryRow(ctx, "SELECT count(*) AS n FROM chat.times WHERE id / 10 = $1 / 10 AND "+where, args...); err != nil || n.Int("n") != 3 {
				t.Errorf("%v where %s: %v, %v", at, where, n, err)
			}
		}
		for rows, err := range c.Live(ctx, "SELECT id FROM chat.times WHERE ts = $1 AND d = $2", client.LiveOptions{Args: []any{at, at}}) {
			if err != nil || len(rows) != 3 {
				t.Errorf("%v: a live query has %v, %v", at, rows, err)
			}
			break
		}
		if row, err := c.QueryRow(ctx, "SELECT txt FROM chat.times WHERE id = $1", id); err != nil || !strings.HasPrefix(row.Text("txt"), date+"T"+clock) {
			t.Errorf("%v as text: %v, %v", at, row, err)
		}
	}
	// What is written in SQL stays PostgreSQL's.
	if row, err := c.QueryRow(ctx, "SELECT '2024-01-02T00:30:00+01:00'::timestamp AS ts, $1::text::timestamp AS cast_text", "2024-01-02T00:30:00+01:00"); err != nil ||
		row.Text("ts") != "2024-01-02T00:30:00Z" || row.Text("cast_text") != "2024-01-02T00:30:00Z" {
		t.Errorf("a literal: %v, %v", row, err)
	}
}
