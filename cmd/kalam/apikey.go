package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

type apikeyCmd struct {
	Create apikeyCreateCmd `cmd:"" help:"Create an API key for a machine and print it."`
	List   apikeyListCmd   `cmd:"" help:"List your API keys; as an administrator, everybody's."`
	Revoke apikeyRevokeCmd `cmd:"" help:"Revoke an API key."`
}

type apikeyCreateCmd struct {
	remote
	Name      string   `arg:"" placeholder:"NAME" help:"What the key is called; unique among those of its user."`
	For       string   `placeholder:"USER" help:"Whose key it is (default: yours); others' are for administrators."`
	ReadOnly  bool     `help:"It only reads."`
	Namespace []string `placeholder:"NAME" help:"It is for this namespace alone. May be given several times."`
	Topic     []string `placeholder:"NAMESPACE.TOPIC" help:"It consumes this topic alone. May be given several times."`
	Expires   string   `placeholder:"TIME" help:"How long it is good, as in '90 days' (default: until it is revoked)."`
}

// Help is what kalam apikey create --help says beside the flags.
func (apikeyCreateCmd) Help() string {
	return `The key is printed alone, and only now: the server keeps a hash. A program sends it
as a token: Auth.jwt(key), auth.JWT(key), or Authorization: Bearer.

    kalam apikey create ci --read-only --namespace app --expires '90 days' > key.txt
    kalam apikey create worker --for jobs --topic app.jobs`
}

func (c *apikeyCreateCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, p *provider, api *client.Client) error {
		sql, args, err := c.statement(p.current().User)
		if err != nil {
			return err
		}
		row, err := api.QueryRow(ctx, sql, args...)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.err, "API key %s, which is shown this once:\n", row.Text("name"))
		_, err = fmt.Fprintln(s.out, row.Text("key"))
		return err
	})
}

func (c *apikeyCreateCmd) statement(self string) (sql string, args []any, err error) {
	owner := c.For
	if owner == "" {
		owner = self
	}
	sql, args = "CREATE API KEY $1 FOR USER $2", []any{c.Name, owner}
	if c.ReadOnly {
		sql += " READ ONLY"
	}
	var lists [2][]string
	for _, n := range c.Namespace {
		lists[0] = append(lists[0], dialect.Print(&dialect.Column{Name: dialect.Name{{Name: n}}}))
	}
	for _, t := range c.Topic {
		namespace, name, ok := strings.Cut(t, ".")
		if !ok {
			return "", nil, &usageError{fmt.Sprintf("%q is not the name of a topic, as app.jobs is", t)}
		}
		lists[1] = append(lists[1], dialect.Print(&dialect.Column{Name: dialect.Name{{Name: namespace}, {Name: name}}}))
	}
	for i, clause := range []string{" NAMESPACES (", " TOPICS ("} {
		if len(lists[i]) > 0 {
			sql += clause + strings.Join(lists[i], ", ") + ")"
		}
	}
	if c.Expires != "" {
		sql, args = sql+" EXPIRES IN $3", append(args, c.Expires)
	}
	return sql, args, nil
}

type apikeyListCmd struct{ remote }

func (c *apikeyListCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, _ *provider, api *client.Client) error {
		r, err := api.Query(ctx, `SELECT user_id, name, prefix, read_only, namespaces, topics, state, expires_at, last_used_at
			FROM system.api_keys ORDER BY user_id, name`)
		if err != nil {
			return err
		}
		if len(r.Rows()) == 0 {
			_, err := fmt.Fprintln(s.out, "There are no API keys. Create one with kalam apikey create.")
			return err
		}
		t := table.NewWriter()
		t.SetOutputMirror(s.out)
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"user", "name", "begins with", "for", "state", "ends", "last used"})
		for _, row := range r.Rows() {
			t.AppendRow(table.Row{
				row.Text("user_id"), row.Text("name"), row.Text("prefix"), purposeOf(row), row.Text("state"), moment(row, "expires_at"), moment(row, "last_used_at"),
			})
		}
		t.Render()
		return nil
	})
}

// purposeOf is what a key is for, in words.
func purposeOf(row client.Row) string {
	var out []string
	if row.Bool("read_only") {
		out = append(out, "reading")
	}
	for _, column := range []string{"namespaces", "topics"} {
		if list := strings.Trim(row.Text(column), "[]"); list != "" {
			out = append(out, strings.NewReplacer(`"`, "", ",", " ").Replace(list))
		}
	}
	if out == nil {
		return "everything"
	}
	return strings.Join(out, ", ")
}

// moment is a time in a row, "never" for none.
func moment(row client.Row, column string) string {
	t := row.Time(column)
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

type apikeyRevokeCmd struct {
	remote
	Name string `arg:"" placeholder:"NAME" help:"The key, as kalam apikey list names it."`
	For  string `placeholder:"USER" help:"Whose key it is (default: yours)."`
}

// Help is what kalam apikey revoke --help says beside the flags.
func (apikeyRevokeCmd) Help() string {
	return `What uses the key is refused within a second, open sockets included. To replace a
key, create the next one, let its programs use that, and revoke the old one.`
}

func (c *apikeyRevokeCmd) Run(s *streams) error {
	return c.asKept(func(ctx context.Context, p *provider, api *client.Client) error {
		owner := c.For
		if owner == "" {
			owner = p.current().User
		}
		_, err := api.Exec(ctx, "DROP API KEY $1 FOR USER $2", c.Name, owner)
		if isCode(err, wire.CodeNotFound) {
			return fmt.Errorf("%s has no API key %s; kalam apikey list shows them", owner, c.Name)
		}
		if err == nil {
			_, err = fmt.Fprintf(s.out, "API key %s of %s is revoked.\n", c.Name, owner)
		}
		return err
	})
}
