package expr

import (
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // so that zones do not depend on the machine

	"github.com/kalamdb/kalam-go/wire"
)

// zoneHours are the abbreviations that PostgreSQL knows by default and that
// mean one offset everywhere.
var zoneHours = map[string]float64{
	"utc": 0, "gmt": 0, "z": 0, "zulu": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "met": 1, "mest": 2,
	"eet": 2, "eest": 3, "msk": 3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
	"pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10, "jst": 9, "kst": 9, "hkt": 8, "sgt": 8, "pkt": 5,
	"nzst": 12, "nzdt": 13, "ist": 2, "idt": 3, "sast": 2,
}

// zones holds the locations that were asked for; only real ones get in.
var zones sync.Map // lower-case name -> *time.Location

// findZone finds a zone by name, abbreviation or offset. An offset as text
// counts west of Greenwich, as in POSIX: '+2' is two hours behind UTC.
func findZone(name string) (*time.Location, error) {
	key := strings.ToLower(strings.TrimSpace(name))
	if z, ok := zones.Load(key); ok {
		return z.(*time.Location), nil
	}
	if h, ok := zoneHours[key]; ok {
		return time.FixedZone(key, int(h*3600)), nil
	}
	if z, ok := posixZone(key); ok {
		return z, nil
	}
	for _, n := range []string{name, zoneCase(key), strings.ToUpper(key)} {
		if n == "" || n == "Local" {
			continue
		}
		if z, err := time.LoadLocation(n); err == nil {
			zones.Store(key, z)
			return z, nil
		}
	}
	return nil, wire.NewError(wire.CodeInvalidParameter, `time zone "`, cut(name), `" not recognized`)
}

// zoneCase writes a name as the database of zones does: America/New_York.
func zoneCase(key string) string {
	b := []byte(key)
	for i := range b {
		if (i == 0 || b[i-1] == '/' || b[i-1] == '_' || b[i-1] == '-') && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// posixZone reads +2, -05:30, UTC+3.
func posixZone(s string) (*time.Location, bool) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "utc"), "gmt")
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return nil, false
	}
	h, m, _ := strings.Cut(s[1:], ":")
	hours, err := strconv.Atoi(h)
	if err != nil || hours > 24 || hours < 0 {
		return nil, false
	}
	minutes := 0
	if m != "" {
		if minutes, err = strconv.Atoi(m); err != nil || minutes > 59 || minutes < 0 {
			return nil, false
		}
	}
	west := hours*3600 + minutes*60
	if s[0] == '-' {
		west = -west
	}
	return time.FixedZone(s, -west), true
}

func offsetAt(us int64, z *time.Location) int64 {
	_, seconds := time.UnixMicro(us).In(z).Zone()
	return int64(seconds) * usPerSecond
}

// inZone is the local time of an instant.
func inZone(us int64, z *time.Location) (int64, error) {
	return checkInstant(us + offsetAt(us, z))
}

// fromZone is the instant of a local time. One that the clocks skip counts by
// the offset before, one that they show twice by the offset after.
func fromZone(local int64, z *time.Location) (int64, error) {
	before, after := offsetAt(local-usPerDay, z), offsetAt(local+usPerDay, z)
	offset := before
	if before != after {
		early, late := offsetAt(local-before, z) == before, offsetAt(local-after, z) == after
		if late {
			offset = after
		}
		if !early && !late {
			offset = before
		}
	}
	return checkInstant(local - offset)
}
