package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// print writes the results of one request.
func (x *executor) print(results []*client.Result, took time.Duration) error {
	out := bufio.NewWriter(x.s.out)
	for _, r := range results {
		switch x.format {
		case "json":
			writeJSON(out, r)
		case "csv":
			writeCSV(out, r)
		default:
			if len(r.Columns()) > 0 {
				writeTable(out, r.Columns(), r.Rows())
			} else {
				writeOutcome(out, r)
			}
		}
	}
	if x.format == "table" && x.untimed {
		fmt.Fprintln(out)
	} else if x.format == "table" {
		fmt.Fprintf(out, "Took: %.3f ms\n\n", float64(took.Microseconds())/1000)
	}
	return out.Flush()
}

func writeOutcome(w io.Writer, r *client.Result) {
	if r.Message != "" {
		fmt.Fprintf(w, "Query OK: %s\n", printable(r.Message))
		return
	}
	fmt.Fprintf(w, "Query OK, %s affected\n", count(r.RowCount))
}

// count is a number of rows in words.
func count(n int) string {
	if n == 1 {
		return "1 row"
	}
	return strconv.Itoa(n) + " rows"
}

func writeTable(w io.Writer, columns []wire.Field, rows []client.Row) {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	header := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, f := range columns {
		header[i] = printable(f.Name)
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignLeft, AlignHeader: text.AlignLeft}
		if isNumber(f.Type) {
			configs[i].Align = text.AlignRight
		}
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for _, r := range rows {
		cells := make(table.Row, r.Len())
		for i := range cells {
			s, null := cell(r, i)
			if null {
				s = "NULL"
			}
			cells[i] = printable(s)
		}
		t.AppendRow(cells)
	}
	fmt.Fprintf(w, "%s\n(%s)\n", t.Render(), count(len(rows)))
}

func isNumber(t wire.Type) bool {
	switch t.Kind {
	case wire.SmallInt, wire.Int, wire.BigInt, wire.Float, wire.Double, wire.Decimal:
		return true
	}
	return false
}

// cell is a cell as people read it: a time in RFC 3339, bytes in hexadecimal.
func cell(r client.Row, i int) (s string, null bool) {
	f, v := r.Columns()[i], r.At(i)
	switch {
	case v.IsNull():
		return "", true
	case f.Type.Kind == wire.Bytes:
		return `\x` + hex.EncodeToString(v.Bytes()), false
	case v.Tag() == wire.TagText:
		return v.Text(), false
	case v.Tag() == wire.TagInt && !isNumber(f.Type):
		return timeText(f.Type, v.Int()), false
	}
	t := f.Type
	if t.Kind != wire.Embedding && t.Kind != wire.Float {
		t = wire.Type{Kind: wire.Double} // numbers without quotes
	}
	return string(wire.AppendCell(nil, t, v)), false
}

func timeText(t wire.Type, n int64) string {
	switch t.Kind {
	case wire.Timestamp, wire.DateTime:
		return time.UnixMicro(n).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
	case wire.Date:
		return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
	case wire.Time:
		return time.UnixMicro(n).UTC().Format("15:04:05.999999")
	}
	return strconv.FormatInt(n, 10)
}

// printable replaces what would make a terminal do something; line feeds and
// tabs stay.
func printable(s string) string {
	clean := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsGraphic(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// width is the number of columns that a text takes on a terminal.
func width(s string) int { return text.StringWidthWithoutEscSequences(s) }

// writeJSON writes the rows as an array with one row per line.
func writeJSON(w io.Writer, r *client.Result) {
	if len(r.Columns()) == 0 {
		b := wire.AppendString([]byte(`{"message":`), r.Message)
		fmt.Fprintf(w, "%s,\"row_count\":%d}\n", b, r.RowCount)
		return
	}
	io.WriteString(w, "[")
	for i, row := range r.Rows() {
		separator := ",\n "
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(w, "%s%s", separator, appendRow(nil, row))
	}
	io.WriteString(w, "]\n")
}

// appendRow appends a row as a JSON object of its cells as the server sends
// them.
func appendRow(b []byte, r client.Row) []byte {
	b = append(b, '{')
	for i, f := range r.Columns() {
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendString(b, f.Name)
		b = append(b, ':')
		b = wire.AppendCell(b, f.Type, r.At(i))
	}
	return append(b, '}')
}

// writeCSV writes a header and the rows after RFC 4180, with line feeds. A NULL
// is an empty field, an empty text is "".
func writeCSV(w io.Writer, r *client.Result) {
	if len(r.Columns()) == 0 {
		return
	}
	var b []byte
	for i, f := range r.Columns() {
		b = appendField(b, i, f.Name, false)
	}
	w.Write(append(b, '\n'))
	for _, row := range r.Rows() {
		b = b[:0]
		for i := range row.Len() {
			s, null := cell(row, i)
			b = appendField(b, i, s, null)
		}
		w.Write(append(b, '\n'))
	}
}

func appendField(b []byte, i int, s string, null bool) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	if null {
		return b
	}
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
