package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// TestFunctionsOfOurs calls functions of package expr by their names in the
// engine, in statements that have several of their calls and groups open at
// once.
func TestFunctionsOfOurs(t *testing.T) {
	d, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	s, err := d.Begin(context.Background(), store.Reading, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.End(false)
	text, number := wire.Type{Kind: wire.Text}, wire.Type{Kind: wire.BigInt}
	query := func(sql string, t wire.Type) (string, error) {
		var out []string
		err := s.Query(&store.Stmt{SQL: sql, Cols: []wire.Type{t}}, nil, func(row []wire.Value) error {
			out = append(out, string(wire.AppendCell(nil, t, row[0])))
			return nil
		})
		return strings.Join(out, " "), err
	}
	const rows = "(WITH r(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM r WHERE x < 1000) SELECT x, x % 3 AS m, x * 9000000000000000 AS big FROM r)"
	for sql, want := range map[string]string{
		"SELECT length(k_repeat_text_i4('ab', 1))":                                                               `"2"`,
		"SELECT length(k_repeat_text_i4('ab', 2048))":                                                            `"4096"`,
		"SELECT length(k_repeat_text_i4('ab', 2047))":                                                            `"4094"`,
		"SELECT length(k_repeat_text_i4('ab', 1000000))":                                                         `"2000000"`,
		"SELECT length(k_repeat_text_i4('ab', 0))":                                                               `"0"`,
		"SELECT k_add_i8_i8(k_mul_i8_i8(2, 3), k_mul_i8_i8(k_add_i8_i8(1, 1), 5))":                               `"16"`,
		"SELECT k_add_i8_i8(1, NULL)":                                                                            `null`,
		"SELECT sum(n) FROM (SELECT count(DISTINCT k_add_i8_i8(x, 1)) AS n FROM " + rows + ")":                   `"1000"`,
		"SELECT length(k_string_agg_set_text('' || x, ',')) FROM " + rows + " GROUP BY m ORDER BY m":             `"1295" "1300" "1295"`,
		"SELECT CAST(k_sum_f8(x) AS INTEGER) FROM " + rows + " GROUP BY m ORDER BY m":                            `"166833" "167167" "166500"`,
		"SELECT CAST(k_sum_f8(x) AS INTEGER) FROM " + rows + " WHERE x < 0":                                      `null`,
		"SELECT CAST(k_sum_f8_w(x) OVER (ORDER BY x ROWS 1 PRECEDING) AS INTEGER) FROM " + rows + " WHERE x < 4": `"1" "3" "5"`,
		"SELECT length(k_sum_i8(big)) > 8 FROM " + rows:                                                          `"1"`,
	} {
		if got, err := query(sql, number); got != want || err != nil {
			t.Errorf("%s\n got: %s, %v\nwant: %s", sql, got, err, want)
		}
	}
	var e *wire.Error
	for range 2 { // an error is of its statement alone
		_, err := query("SELECT k_string_agg_set_text(k_quo_i8_i8(100, 50 - x), ',') FROM "+rows+" GROUP BY m", text)
		if !errors.As(err, &e) || e.Code != wire.CodeDivisionByZero {
			t.Errorf("division by zero: %v", err)
		}
		if got, err := query("SELECT k_quo_i8_i8(7, 2)", number); got != `"3"` || err != nil {
			t.Errorf("after an error: %s, %v", got, err)
		}
	}
}
