package client

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// Result is the answer to one statement.
type Result struct {
	// RowCount is the number of rows given, or changed.
	RowCount int
	// Message is what the server says about a statement without rows.
	Message string
	// AsUser is the user the statement ran as.
	AsUser string

	columns *columns
	rows    [][]wire.Value
}

// Columns describes the cells of a row. It is empty for a statement that gives
// no rows.
func (r *Result) Columns() []wire.Field { return r.columns.fields }

// Rows returns the rows.
func (r *Result) Rows() []Row {
	out := make([]Row, len(r.rows))
	for i, v := range r.rows {
		out[i] = Row{r.columns, v}
	}
	return out
}

// String returns the rows as text, for logs; of a statement without rows what the
// server says about it.
func (r Result) String() string {
	if r.columns == nil || len(r.columns.fields) == 0 {
		return r.Message
	}
	return string(appendRows(nil, r.Rows()))
}

// Statement is one statement of a Batch with its own arguments.
type Statement struct {
	SQL  string
	Args []any
}

// Stmt makes a Statement.
func Stmt(sql string, args ...any) Statement { return Statement{sql, args} }

// Query runs a statement with arguments for $1 to $n. Of a text with several
// statements, which takes no arguments, it returns the last result; Run returns
// them all.
func (c *Client) Query(ctx context.Context, sql string, args ...any) (*Result, error) {
	results, err := c.Run(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return &Result{columns: &columns{}}, nil
	}
	return results[len(results)-1], nil
}

// QueryRow runs a statement and returns its first row, or ErrNoRows.
func (c *Client) QueryRow(ctx context.Context, sql string, args ...any) (Row, error) {
	r, err := c.Query(ctx, sql, args...)
	if err != nil {
		return Row{}, err
	}
	if len(r.rows) == 0 {
		return Row{}, ErrNoRows
	}
	return Row{r.columns, r.rows[0]}, nil
}

// Exec runs a statement and returns how many rows it changed; of a text with
// several statements, the sum.
func (c *Client) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	results, err := c.Run(ctx, sql, args...)
	var n int64
	for _, r := range results {
		n += int64(r.RowCount)
	}
	return n, err
}

// ExecAs runs one statement as another user, for a role that may, with arguments
// for $1 to $n, and returns its result. The user is an argument too and no part
// of the text.
func (c *Client) ExecAs(ctx context.Context, user, sql string, args ...any) (*Result, error) {
	n := len(args) + 1
	all := append(args[:n-1:n-1], user)
	return c.Query(ctx, "EXECUTE AS USER $"+itoa(n)+" ("+sql+"\n)", all...) // a comment may end the sql
}

// Run runs a text of one or more statements and returns one result for each.
func (c *Client) Run(ctx context.Context, sql string, args ...any) ([]*Result, error) {
	params, err := toParams(args)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, &wire.Request{SQL: sql, Params: params, Namespace: c.namespace})
}

// Batch runs statements in one transaction: all of them, or none. It returns
// one result for each. The error of a failed statement is a *wire.Error that
// says which it was.
func (c *Client) Batch(ctx context.Context, statements []Statement) ([]*Result, error) {
	r := &wire.Request{IsBatch: true, Namespace: c.namespace, Statements: make([]wire.Statement, len(statements))}
	for i, s := range statements {
		params, err := toParams(s.Args)
		if err != nil {
			return nil, &failure{text: "statement " + itoa(i+1), cause: err}
		}
		r.Statements[i] = wire.Statement{SQL: s.SQL, Params: params}
	}
	return c.send(ctx, r)
}

// Send posts a body of /v1/api/sql as it is and gives the answer's body as it
// is: for bindings to other languages, which build and read JSON themselves. An
// answer that reports an error is an error here too.
func (c *Client) Send(ctx context.Context, body []byte) (answer []byte, err error) {
	err = c.authorized(ctx, c.timeout, func(ctx context.Context, token string) error {
		resp, err := c.postSQL(ctx, token, body)
		if err == nil {
			answer, err = c.rawAnswer(resp)
		}
		return err
	})
	return answer, err
}

// rawAnswer gives the body of an answer of /v1/api/sql that reports no error.
func (c *Client) rawAnswer(resp *response) ([]byte, error) {
	const success = `{"status":"success",`
	if resp.Status == 200 && len(resp.Body) > len(success) && string(resp.Body[:len(success)]) == success {
		return resp.Body, nil
	}
	_, err := c.decodeAnswer(resp)
	return resp.Body, err
}

// send does a request with a token.
func (c *Client) send(ctx context.Context, r *wire.Request) (results []*Result, err error) {
	body := wire.AppendRequest(nil, r)
	err = c.authorized(ctx, c.timeout, func(ctx context.Context, token string) error {
		resp, err := c.postSQL(ctx, token, body)
		if err == nil {
			results, err = c.decodeAnswer(resp)
		}
		return err
	})
	return results, err
}

// authorized runs fn with a token, within a time (0: no limit) and until the
// client is closed.
func (c *Client) authorized(ctx context.Context, limit time.Duration, fn func(ctx context.Context, token string) error) error {
	return c.during(ctx, limit, func(ctx context.Context) error { return c.withToken(ctx, fn) })
}

// withToken runs fn with a token. When the server does not accept the token the
// session is renewed and fn run once more, which is safe since the first time
// did nothing.
func (c *Client) withToken(ctx context.Context, fn func(ctx context.Context, token string) error) error {
	if err := c.mayTravel(); err != nil {
		return err
	}
	t, err := c.session.get(ctx, need{})
	if err != nil {
		return err
	}
	if err = c.use(ctx, t, fn); !errors.Is(err, ErrUnauthenticated) || isFinal(err) {
		return err
	}
	if t, err = c.session.get(ctx, need{rejected: t.text}); err != nil {
		return err
	}
	if err = c.use(ctx, t, fn); errors.Is(err, ErrUnauthenticated) {
		c.session.state.report(token{}, "", err)
	}
	return err
}

// use runs fn with a token and notes whether the server has accepted it: it
// has when a statement failed, too.
func (c *Client) use(ctx context.Context, t token, fn func(ctx context.Context, token string) error) error {
	err := fn(ctx, t.text)
	if err == nil || statementFailed(err) {
		c.session.accepted(t)
	}
	return err
}

// statementFailed reports whether the server ran a statement that failed.
func statementFailed(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Statement > 0
}

func (c *Client) postSQL(ctx context.Context, token string, body []byte) (*response, error) {
	resp, err := c.transport.Do(ctx, &request{Method: "POST", URL: c.endpoint.http + "/v1/api/sql", Token: token, Body: body})
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, c.noAnswer(err)
}

// decodeAnswer reads an answer of /v1/api/sql.
func (c *Client) decodeAnswer(resp *response) ([]*Result, error) {
	answer, err := wire.DecodeResponse(resp.Body)
	if err != nil {
		return nil, c.strangeAnswer(resp)
	}
	if answer.Err != nil {
		err := classify(resp.Status, unnumbered(answer.Err))
		if answer.Err.Code == wire.CodeSetupRequired {
			err = &failure{cause: err, final: true}
		}
		return nil, err
	}
	results := make([]*Result, len(answer.Results))
	for i := range answer.Results {
		a := &answer.Results[i]
		results[i] = &Result{RowCount: a.RowCount, Message: a.Message, AsUser: a.AsUser, columns: &columns{fields: a.Schema}, rows: a.Rows}
		for _, row := range a.Rows {
			if len(row) != len(a.Schema) {
				return nil, unavailable("query", errors.New("the answer has rows that do not fit its schema"))
			}
		}
	}
	return results, nil
}

// unnumbered moves the number of the failed statement, which the wire repeats in
// some messages, to its field alone.
func unnumbered(e *wire.Error) *wire.Error {
	rest, ok := strings.CutPrefix(e.Message, "Statement ")
	number, message, found := strings.Cut(rest, " failed: ")
	n, err := strconv.Atoi(number)
	if !ok || !found || err != nil {
		return e
	}
	out := *e
	out.Statement, out.Message = n, message
	return &out
}

// strangeAnswer makes an error of an answer that is not one of the route: of a
// guard before it, or of something between us and the server.
func (c *Client) strangeAnswer(resp *response) error {
	a := wire.DecodeAuthError(resp.Body)
	switch {
	case a != nil && (resp.Status == 404 || resp.Status == 405):
		return c.otherVersion(resp.Status)
	case a != nil && resp.Status >= 400:
		return classify(resp.Status, &wire.Error{Code: wire.Code(a.Code), Message: a.Error()})
	case resp.Status >= 300 && resp.Status < 400:
		return unavailable("", errors.New("the server redirected; use its final url"))
	}
	return c.notOurs(resp.Status)
}
