//go:build postgres

package engine_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPostgreSQLGivesTheRecordedStatements compares the recorded answers with a
// server that psql finds by PGHOST, PGUSER and PGDATABASE; .ci/postgres starts
// one. With -update it records them.
func TestPostgreSQLGivesTheRecordedStatements(t *testing.T) {
	for _, file := range statementFiles(t) {
		lines, list := readStatements(t, file)
		const mark = "-- end of statement "
		script := "SET TimeZone = 'UTC'; SET client_min_messages = error;\n\\pset null NULL\n"
		for _, s := range list {
			script += s.sql + ";\n\\echo '" + mark + "' :SQLSTATE\n"
		}
		cmd := exec.Command("psql", "-X", "-A", "-t", "-q", "-F", " | ")
		cmd.Stdin = strings.NewReader(script)
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("psql: %v", err)
		}
		rest := strings.Split(string(text), "\n")
		var out []string
		for _, line := range lines {
			if !strings.HasPrefix(line, "> ") {
				if line == "" || strings.HasPrefix(line, "#") {
					out = append(out, line)
				}
				continue
			}
			s := list[0]
			list = list[1:]
			var got []string
			for !strings.HasPrefix(rest[0], mark) {
				got = append(got, rest[0])
				rest = rest[1:]
			}
			if !strings.HasSuffix(rest[0], "00000") {
				got = []string{"!"}
			}
			rest = rest[1:]
			out = append(append(out, line), got...)
			if g, w := strings.Join(got, "\n"), strings.Join(s.want, "\n"); g != w && !*update {
				t.Errorf("%s:%d: %s\nPostgreSQL:\n%s\nrecorded:\n%s", file, s.line, s.sql, g, w)
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
