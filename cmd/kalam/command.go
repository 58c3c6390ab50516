package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

const shellHelp = `A statement ends with a semicolon and may take several lines. Tab completes tables,
columns and words.

  \d                 the tables
  \d TABLE           the columns of a table
  \dn                the namespaces
  \live SELECT ...   follow the rows of a query until Ctrl-C
  \stats             what the server measures (dba and system)
  \timing            show or hide how long statements take
  \?                 this help
  \q                 leave (so does Ctrl-D)

Ctrl-C drops what you typed, or ends what runs. BEGIN; ... COMMIT; runs as a whole
once it is complete. USE app; holds until the next one.`

// commandNames are the commands of the shell.
var commandNames = []string{`\d`, `\dn`, `\dt`, `\live`, `\stats`, `\timing`, `\?`, `\q`}

// command is the statement behind a command of the shell. done says that the
// command was all; ok, that there is such a command.
func (x *executor) command(text string) (sql string, done, ok bool) {
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case `\d`:
		if rest != "" {
			return "DESCRIBE TABLE " + rest, false, true
		}
		return "SHOW TABLES", false, true
	case `\dt`:
		return "SHOW TABLES", false, true
	case `\dn`:
		return "SHOW NAMESPACES", false, true
	case `\stats`:
		return "SELECT * FROM system.stats ORDER BY metric_name", false, true
	case `\timing`:
		switch rest {
		case "":
			x.untimed = !x.untimed
		case "on", "off":
			x.untimed = rest == "off"
		default:
			return "", false, false
		}
		fmt.Fprintf(x.s.out, "Timing is %s.\n", map[bool]string{true: "off", false: "on"}[x.untimed])
		return "", true, true
	case `\?`, `\h`, `\help`, "help":
		fmt.Fprintln(x.s.out, shellHelp)
		return "", true, true
	}
	return "", false, false
}

// follow keeps the namespace that the statement at hand has chosen.
func (x *executor) follow(sql string) {
	src, err := dialect.Parse(sql)
	if err != nil || len(src.Statements) != 1 {
		return
	}
	use, ok := src.Statements[0].(*dialect.Use)
	if !ok || x.connect == nil {
		return
	}
	c, err := x.connect(use.Name.Name)
	if err != nil {
		return
	}
	x.c.Close()
	x.c = c
}

// texts runs a query and gives its cells as text; nil when it fails.
func (x *executor) texts(ctx context.Context, sql string) [][]string {
	results, err := x.c.Run(ctx, sql)
	if err != nil || len(results) != 1 {
		return nil
	}
	var out [][]string
	for _, row := range results[0].Rows() {
		cells := make([]string, row.Len())
		for i := range cells {
			cells[i], _ = cell(row, i)
		}
		out = append(out, cells)
	}
	return out
}
