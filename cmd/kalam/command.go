package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/spell"
)

// errLeave is how a command ends the shell.
var errLeave = errors.New("leave the shell")

// command is a command of the shell, one line that begins with a backslash.
type command struct {
	names []string // the first one is in the help
	args  string   // as the help writes them
	help  string
	run   func(x *executor, ctx context.Context, args string) error
}

// commands are the commands of the shell in the order of the help.
func commands() []command {
	return []command{
		{[]string{`\d`}, "[TABLE]", "the tables, or what one of them is made of", (*executor).describe},
		{[]string{`\dt`}, "", "the tables", func(x *executor, ctx context.Context, _ string) error { return x.describe(ctx, "") }},
		{[]string{`\dn`}, "", "the namespaces", func(x *executor, ctx context.Context, _ string) error { return x.script(ctx, "SHOW NAMESPACES") }},
		{[]string{`\i`}, "FILE", "run the statements of a file", (*executor).include},
		{[]string{`\live`}, "SELECT ...", "follow the rows of a query until Ctrl-C", (*executor).follow},
		{[]string{`\stats`}, "", "what the server measures (dba and system)", func(x *executor, ctx context.Context, _ string) error {
			return x.script(ctx, "SELECT * FROM system.stats ORDER BY metric_name")
		}},
		{[]string{`\timing`}, "[on|off]", "show or hide how long statements take", (*executor).timing},
		{[]string{`\x`}, "[on|off|auto]", "one line for each column; auto: where rows are wide", (*executor).expand},
		{[]string{`\?`, `\h`, `\help`}, "", "this help", (*executor).showHelp},
		{[]string{`\q`, `\quit`, `\exit`}, "", "leave (so does Ctrl-D)", func(*executor, context.Context, string) error { return errLeave }},
	}
}

// commandNames are the names that completion offers.
func commandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.names[0])
	}
	return names
}

// runCommand runs a text that begins with a backslash.
func (x *executor) runCommand(ctx context.Context, text string) error {
	name, args := text, ""
	if i := strings.IndexAny(text, " \t\r\n;"); i >= 0 {
		name, args = text[:i], strings.TrimRight(strings.TrimSpace(text[i:]), "; \t\r\n")
	}
	var known []string
	for _, c := range commands() {
		for _, n := range c.names {
			if n == strings.ToLower(name) {
				return c.run(x, ctx, args)
			}
			known = append(known, n)
		}
	}
	if near, edits := spell.Nearest(strings.ToLower(name), known); edits <= 2 && edits < len(name)-1 {
		return &usageError{fmt.Sprintf("%s is no command, did you mean %s? \\? shows what there is", printable(name), near)}
	}
	return &usageError{fmt.Sprintf("%s is no command; \\? shows what there is", printable(name))}
}

func (x *executor) showHelp(context.Context, string) error {
	fmt.Fprint(x.s.out, "A statement ends with a semicolon and may take several lines. Tab completes\ntables, columns and words.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(x.s.out, "  %-20s %s\n", c.names[0]+" "+c.args, c.help)
	}
	_, err := fmt.Fprint(x.s.out, `
quit, exit and help need neither a backslash nor a semicolon. Ctrl-C drops what
you typed, or ends what runs. BEGIN; ... COMMIT; runs as a whole once it is
complete. USE app; holds until the next one.
`)
	return err
}

func (x *executor) timing(_ context.Context, args string) error {
	switch args {
	case "":
		x.untimed = !x.untimed
	case "on", "off":
		x.untimed = args == "off"
	default:
		return &usageError{fmt.Sprintf("\\timing is on or off, not %q", args)}
	}
	_, err := fmt.Fprintf(x.s.out, "Timing is %s.\n", map[bool]string{true: "off", false: "on"}[x.untimed])
	return err
}

func (x *executor) expand(_ context.Context, args string) error {
	switch args {
	case "":
		x.expanded = map[string]string{"on": "off"}[x.expanded]
		if x.expanded == "" {
			x.expanded = "on"
		}
	case "on", "off", "auto":
		x.expanded = args
	default:
		return &usageError{fmt.Sprintf("\\x is on, off or auto, not %q", args)}
	}
	_, err := fmt.Fprintf(x.s.out, "Expanded display is %s.\n", x.expanded)
	return err
}

// include runs the statements of a file.
func (x *executor) include(ctx context.Context, path string) error {
	if path == "" {
		return &usageError{`\i needs the name of a file`}
	}
	if x.depth >= 16 {
		return errors.New("files that include each other more than 16 deep")
	}
	b, err := os.ReadFile(strings.Trim(path, `'"`))
	if err != nil {
		return err
	}
	x.depth++
	defer func() { x.depth-- }()
	return x.script(ctx, sourceText(b))
}

func (x *executor) follow(ctx context.Context, query string) error {
	if query == "" {
		return &usageError{`\live needs a query: \live SELECT ...`}
	}
	return x.live(ctx, query)
}

// use keeps the namespace that the statement at hand has chosen.
func (x *executor) use(sql string) {
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
	x.c, x.namespace = c, use.Name.Name
}

// texts runs a query and gives its cells as text; nil when it fails.
func (x *executor) texts(ctx context.Context, sql string) [][]string {
	results, err := x.c.Run(ctx, sql)
	if err != nil || len(results) != 1 {
		return nil
	}
	out := [][]string{}
	for _, row := range results[0].Rows() {
		cells := make([]string, row.Len())
		for i := range cells {
			cells[i], _ = cell(row, i)
		}
		out = append(out, cells)
	}
	return out
}
