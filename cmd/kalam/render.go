package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

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
				x.writeTable(out, r.Columns(), r.Rows())
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
func count(n int) string { return counted(n, "row") }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// width is how many columns the terminal has that output goes to; 0 when it is
// no terminal or does not say.
func (x *executor) width() int {
	f, ok := x.s.out.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

func plainStyle() table.Style {
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	return style
}

// writeTable writes rows as a table, or expanded where that is asked for or the
// table would be wider than the terminal.
func (x *executor) writeTable(w io.Writer, columns []wire.Field, rows []client.Row) {
	if x.expanded != "on" {
		shown := tableOf(columns, rows)
		first, _, _ := strings.Cut(shown, "\n")
		if limit := x.width(); x.expanded != "auto" || limit == 0 || width(first) <= limit || len(rows) == 0 {
			fmt.Fprintf(w, "%s\n(%s)\n", shown, count(len(rows)))
			return
		}
	}
	writeExpanded(w, columns, rows)
	fmt.Fprintf(w, "(%s)\n", count(len(rows)))
}

// writeExpanded writes each row as lines of a column and its value.
func writeExpanded(w io.Writer, columns []wire.Field, rows []client.Row) {
	longest := 0
	for _, f := range columns {
		longest = max(longest, width(printable(f.Name)))
	}
	for i, r := range rows {
		fmt.Fprintf(w, "─[ %d ]─\n", i+1)
		for j, f := range columns {
			name := printable(f.Name)
			value := strings.ReplaceAll(shownCell(r, j), "\n", "\n"+strings.Repeat(" ", longest)+" │ ")
			fmt.Fprintf(w, "%s%s │ %s\n", name, strings.Repeat(" ", longest-width(name)), value)
		}
	}
}

// shownCell is a cell as tables show it.
func shownCell(r client.Row, i int) string {
	s, null := cell(r, i)
	if null {
		return "NULL"
	}
	return printable(s)
}

func tableOf(columns []wire.Field, rows []client.Row) string {
	t := table.NewWriter()
	t.SetStyle(plainStyle())
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
			cells[i] = shownCell(r, i)
		}
		t.AppendRow(cells)
	}
	return t.Render()
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
