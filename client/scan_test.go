//go:build !js

package client_test

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestScanTakesACellOrSaysWhyNot: what a variable of an unusual type holds then,
// or the error, which names the column.
func TestScanTakesACellOrSaysWhyNot(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	prefix := netip.MustParsePrefix("10.0.0.0/8")
	type refusal string
	for _, v := range []struct {
		sql  string
		into any
		want any
	}{
		{"1", (*int)(nil), refusal("the pointer is nil")},
		{"1", (**int)(nil), refusal("the pointer is nil")},
		{"1", (*octets)(nil), refusal("the pointer is nil")},
		{"1", nil, refusal("takes no cell")},
		{"1", 5, refusal("takes no cell")},
		{"1", new(chan int), refusal("takes no cell")},
		{"1", new(error), refusal("takes no cell")},
		{"300", new(int8), refusal("does not fit")},
		{"-1", new(uint64), refusal("does not fit")},
		{"CAST(1e300 AS DOUBLE)", new(float32), refusal("does not fit")},
		{"CAST(0.5 AS DOUBLE)", new(ratio), ratio(0.5)},
		{"NULL", new(octets), octets(nil)},
		{"NULL", new([]int), []int(nil)},
		{"NULL", new(map[string]int), map[string]int(nil)},
		{"NULL", new(json.RawMessage), json.RawMessage(nil)},
		{"NULL", new(**int), (**int)(nil)},
		{"NULL", new(int), refusal("NULL")},
		{"NULL", new(stamp), refusal("NULL")},
		{"CAST('\\x0102' AS BYTES)", new(octets), octets{1, 2}},
		{"CAST('\\x0102' AS BYTES)", new([3]byte), refusal("2 bytes, the array 3")},
		{"CAST('2024-01-02' AS DATE)", new(stamp), stamp(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC))},
		{"'10.0.0.0/8'", new(netip.Prefix), prefix},
		{"'x'", new(netip.Prefix), refusal("scan column x")},
		{"'170141183460469231731687303715884105728'", new(big.Int), *new(big.Int).Lsh(big.NewInt(1), 127)},
		{"'x'", new(hidden), refusal("db")},
	} {
		row, err := c.QueryRow(ctx, "SELECT "+v.sql+" AS x")
		if err != nil {
			t.Fatal(err)
		}
		err = row.Scan(v.into)
		if why, ok := v.want.(refusal); ok {
			if err == nil || !strings.Contains(err.Error(), string(why)) || !strings.Contains(err.Error(), "scan") {
				t.Errorf("%s into %T: got %v, not %s", v.sql, v.into, err, why)
			}
		} else if got := reflect.ValueOf(v.into).Elem().Interface(); err != nil || !reflect.DeepEqual(got, v.want) {
			t.Errorf("%s into %T: got %#v, %v", v.sql, v.into, got, err)
		}
	}
}
