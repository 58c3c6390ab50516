package expr_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kalamdb/kalam-go/internal/expr"
)

// decimals draws numbers of up to 38 digits with any scale.
var decimals = rapid.Custom(func(t *rapid.T) string {
	digits := rapid.StringMatching(`[0-9]{1,38}`).Draw(t, "digits")
	if rapid.Bool().Draw(t, "zeros") {
		digits = rapid.StringMatching(`0{0,6}[0-9]{1,4}0{0,6}`).Draw(t, "digits")
	}
	scale := rapid.IntRange(0, len(digits)).Draw(t, "scale")
	s := digits[:len(digits)-scale]
	if s == "" {
		s = "0"
	}
	s = strings.TrimLeft(s, "0")
	if s == "" {
		s = "0"
	}
	if scale > 0 {
		s += "." + digits[len(digits)-scale:]
	}
	if rapid.Bool().Draw(t, "negative") {
		s = "-" + s
	}
	return s
})

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s)
	}
	return r
}

func scaleOf(s string) uint8 {
	_, frac, _ := strings.Cut(s, ".")
	return uint8(len(frac))
}

func TestDecimalBytesOrderAsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimals.Draw(t, "a"), decimals.Draw(t, "b")
		if rapid.Bool().Draw(t, "close") {
			b = a + "0"
			if !strings.Contains(a, ".") {
				b = a + ".0"
			}
			if rapid.Bool().Draw(t, "apart") {
				b += "1"
			}
		}
		got := bytes.Compare(expr.EncodeDecimal(a), expr.EncodeDecimal(b))
		if want := rat(a).Cmp(rat(b)); got != want {
			t.Fatalf("%s and %s: bytes compare %d, numbers %d", a, b, got, want)
		}
	})
}

func TestDecimalBytesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := decimals.Draw(t, "a")
		got, err := expr.DecodeDecimal(expr.EncodeDecimal(a), scaleOf(a))
		if err != nil {
			t.Fatal(err)
		}
		want := a
		if rat(a).Sign() == 0 {
			want = strings.TrimPrefix(a, "-")
		}
		if got != want {
			t.Fatalf("%s reads back as %s", a, got)
		}
	})
}

func TestDecodeDecimalRefusesDamage(t *testing.T) {
	for _, b := range []string{"", "\x00", "\xc0", "\xc0\x80\x01\x02", "\xc0\x80\x01\x00", "\xc0\x80\x01\xf0\x00", "\x80\x00",
		"\xc0\xff\xff\x02\x00", "\xc0\x80\x01\x02\x00\x00"} {
		if s, err := expr.DecodeDecimal([]byte(b), 2); err == nil {
			t.Errorf("%x reads as %s", b, s)
		}
	}
	if s, err := expr.DecodeDecimal(expr.EncodeDecimal("1.255"), 2); err == nil {
		t.Errorf("1.255 with two digits reads as %s", s)
	}
}
