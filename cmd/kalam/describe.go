package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kalamdb/kalam-go/client"
)

// describe lists the tables, or shows one: what kind it is, its columns, indexes
// and checks.
func (x *executor) describe(ctx context.Context, name string) error {
	text := "SHOW TABLES"
	if name != "" {
		text = "DESCRIBE TABLE " + name
	}
	if x.format != "table" {
		return x.script(ctx, text)
	}
	results, err := x.c.Run(ctx, text)
	if err != nil {
		return x.failure(err, text, 0)
	}
	if name == "" {
		return x.listTables(results[0])
	}
	if kind := x.kindOf(ctx, name); kind != "" {
		fmt.Fprintf(x.s.out, "%s\n", kind)
	}
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	t.AppendHeader(table.Row{"column", "type", "null", "default"})
	for _, row := range results[0].Rows() {
		null, preset := "", ""
		if !row.Bool("is_nullable") {
			null = "not null"
		}
		if d := row.Value("column_default"); !d.IsNull() {
			preset = d.Text()
		}
		t.AppendRow(table.Row{printable(row.Text("column_name")), printable(row.Text("data_type")), null, printable(preset)})
	}
	fmt.Fprintln(x.s.out, t.Render())
	for _, c := range x.texts(ctx, "SHOW CONSTRAINTS FROM "+name) {
		fmt.Fprintf(x.s.out, "  %s  %s\n", printable(c[0]), printable(c[2]))
	}
	for _, ix := range x.texts(ctx, "SHOW INDEXES FROM "+name) {
		if ix[2] != "true" { // a unique one is among the constraints
			fmt.Fprintf(x.s.out, "  %s  INDEX (%s)\n", printable(ix[0]), printable(ix[1]))
		}
	}
	fmt.Fprintln(x.s.out)
	return nil
}

// listTables prints the tables of users; those of the server's own are in SHOW
// TABLES.
func (x *executor) listTables(list *client.Result) error {
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	t.AppendHeader(table.Row{"namespace", "table", "kind"})
	n := 0
	for _, row := range list.Rows() {
		if kind := row.Text("table_type"); kind != "system" {
			t.AppendRow(table.Row{printable(row.Text("namespace_id")), printable(row.Text("table_name")), printable(kind)})
			n++
		}
	}
	_, err := fmt.Fprintf(x.s.out, "%s\n(%s)\n\n", t.Render(), counted(n, "table"))
	return err
}

// kindOf says in words what kind of table a name stands for; "" when the server
// does not list it.
func (x *executor) kindOf(ctx context.Context, name string) string {
	bare := strings.ToLower(strings.ReplaceAll(name, `"`, ""))
	if !strings.Contains(bare, ".") {
		bare = x.namespace + "." + bare
	}
	for _, row := range x.texts(ctx, "SHOW TABLES") {
		if len(row) > 5 && strings.ToLower(row[0]+"."+row[1]) == bare {
			kind := strings.ToUpper(row[2]) + " table " + row[0] + "." + row[1]
			if row[5] != "" {
				kind += " " + row[5]
			}
			return printable(kind)
		}
	}
	return ""
}
