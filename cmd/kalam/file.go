package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/client"
)

// fileCmd is kalam file.
type fileCmd struct {
	Put filePutCmd `cmd:"" help:"Put a file into a FILE column of a row."`
	Get fileGetCmd `cmd:"" help:"Get the file of a row."`
}

// fileFlags are those of both commands.
type fileFlags struct {
	remote
	User  string `short:"u" placeholder:"NAME" help:"Sign in as NAME for this command only, with the password in KALAM_PASSWORD or asked for."`
	Quiet bool   `short:"q" help:"Show no progress; without a terminal none is shown anyway."`
}

// run signs in, calls fn and signs out again.
func (f *fileFlags) run(s *streams, fn func(ctx context.Context, c *client.Client) error) error {
	ctx, stop := interruptible()
	defer stop()
	x, end, err := (&sqlCmd{remote: f.remote, User: f.User}).open(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	return explain(fn(ctx, x.c), x.url)
}

type filePutCmd struct {
	fileFlags
	Table  string   `arg:"" placeholder:"NAMESPACE.TABLE"`
	Column string   `arg:"" help:"The FILE column."`
	File   string   `arg:"" help:"The file; - for the standard input."`
	Values []string `arg:"" sep:"none" placeholder:"COLUMN=VALUE" help:"The other columns of the new row; with --update, what tells the row that is changed."`
	Update bool     `help:"Change a row that is there."`
	Name   string   `placeholder:"NAME" help:"What the file is called (default: its name without the path)."`
	Type   string   `placeholder:"TYPE" help:"Its media type, where the content does not tell, as in text/markdown."`
}

// Help is what kalam file put --help says beside the flags.
func (filePutCmd) Help() string {
	return `    kalam file put app.notes photo cat.jpg id=1 title="the cat"
    kalam file put app.notes photo cat.jpg id=1 --update
    tar c notes | kalam file put app.notes photo - id=2 --name notes.tar`
}

func (c *filePutCmd) Run(s *streams) error {
	columns, args, err := pairs(c.Values)
	if err != nil {
		return err
	}
	file := client.File{Name: c.Name, Type: c.Type, Body: s.in}
	size := int64(0) // unknown
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a folder", c.File)
		}
		if err != nil {
			return err
		}
		file.Body, size = f, info.Size()
		if c.Name == "" {
			file.Name = filepath.Base(c.File)
		}
	}
	if file.Name == "" {
		file.Name = c.Column
	}
	return c.run(s, func(ctx context.Context, db *client.Client) error {
		bar := startBar(s, c.Quiet, file.Name, size)
		file.OnProgress = bar.set
		n, err := db.ExecFiles(ctx, c.statement(columns), client.Files{"file": file}, args...)
		bar.end(err == nil)
		if err == nil && n == 0 {
			return fmt.Errorf("%s has no row with %s", c.Table, strings.Join(c.Values, " "))
		}
		return err
	})
}

func (c *filePutCmd) statement(columns []string) string {
	target := quotedName(c.Column)
	if c.Update {
		return "UPDATE " + c.Table + " SET " + target + ` = FILE("file") WHERE ` + condition(columns)
	}
	var names, values strings.Builder
	for i, column := range columns {
		names.WriteString(quotedName(column) + ", ")
		values.WriteString("$" + strconv.Itoa(i+1) + ", ")
	}
	return "INSERT INTO " + c.Table + " (" + names.String() + target + ") VALUES (" + values.String() + `FILE("file"))`
}

type fileGetCmd struct {
	fileFlags
	Table  string   `arg:"" placeholder:"NAMESPACE.TABLE"`
	Column string   `arg:"" help:"The FILE column."`
	Values []string `arg:"" sep:"none" placeholder:"COLUMN=VALUE" help:"What tells the row."`
	Output string   `short:"o" placeholder:"PATH" help:"Where the file goes: a file, a folder, or - for the standard output (default: its name, in this folder)."`
	Force  bool     `short:"f" help:"Replace a file that is there."`
}

// Help is what kalam file get --help says beside the flags.
func (fileGetCmd) Help() string {
	return `    kalam file get app.notes photo id=1
    kalam file get app.notes photo id=1 -o - | file -`
}

func (c *fileGetCmd) Run(s *streams) error {
	columns, args, err := pairs(c.Values)
	if err != nil {
		return err
	}
	return c.run(s, func(ctx context.Context, db *client.Client) error {
		result, err := db.Query(ctx, "SELECT "+quotedName(c.Column)+" FROM "+c.Table+" WHERE "+condition(columns)+" LIMIT 2", args...)
		if err != nil {
			return err
		}
		rows := result.Rows()
		if len(rows) != 1 {
			return fmt.Errorf("%s has %s with %s", c.Table, map[int]string{0: "no row", 2: "several rows"}[len(rows)], strings.Join(c.Values, " "))
		}
		if rows[0].At(0).IsNull() {
			return fmt.Errorf("the row with %s has no file", strings.Join(c.Values, " "))
		}
		f := &client.FileRef{}
		if err := rows[0].Scan(f); err != nil {
			return fmt.Errorf("%s is no FILE column: %w", c.Column, err)
		}
		bar := startBar(s, c.Quiet, f.Name, f.Size)
		err = c.save(ctx, s, db, f, bar)
		bar.end(err == nil)
		return err
	})
}

// save writes the file to where it goes. A file there is whole or not there.
func (c *fileGetCmd) save(ctx context.Context, s *streams, db *client.Client, f *client.FileRef, bar *bar) error {
	if c.Output == "-" {
		return download(ctx, s.out, db, c.Table, f, bar)
	}
	path := c.Output
	if info, err := os.Stat(path); path == "" || err == nil && info.IsDir() {
		name := filepath.Base(f.Name)
		if name == "." || name == ".." || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\") {
			name = f.StoredName()
		}
		path = filepath.Join(path, name)
	}
	if _, err := os.Lstat(path); err == nil && !c.Force {
		return fmt.Errorf("%s is there already; -f replaces it", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".kalam-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = download(ctx, tmp, db, c.Table, f, bar)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// pairs takes COLUMN=VALUE apart. Values are texts, which the server reads as
// what the column is.
func pairs(list []string) (columns []string, values []any, err error) {
	for _, pair := range list {
		column, value, ok := strings.Cut(pair, "=")
		if !ok || column == "" {
			return nil, nil, &usageError{fmt.Sprintf("%q is not COLUMN=VALUE, as id=1 is", pair)}
		}
		columns, values = append(columns, column), append(values, value)
	}
	return columns, values, nil
}

func condition(columns []string) string {
	terms := make([]string, len(columns))
	for i, column := range columns {
		terms[i] = quotedName(column) + " = $" + strconv.Itoa(i+1)
	}
	return strings.Join(terms, " AND ")
}

func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
