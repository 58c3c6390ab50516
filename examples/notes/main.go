// Command notes shows live rows: alice is signed in on two devices and bob on
// one. Whatever alice writes on one device appears on the other at once, and bob
// sees none of it, although all three run the same statements on one table.
//
// Start a server with demo users (make run), then:
//
//	go run ./examples/notes -url http://localhost:8080
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

func main() {
	url := flag.String("url", "http://localhost:8080", "the server")
	password := flag.String("password", "Secret123!", "the password of alice, bob and admin")
	flag.Parse()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := run(ctx, os.Stdout, *url, *password); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

// device is one program that a user runs: a phone, a laptop.
type device struct {
	name string
	db   *client.Client
	sets chan []note // every state of the user's notes
	err  error       // why sets was closed
}

type note struct {
	ID   int64  `db:"id"`
	Text string `db:"text"`
	Done bool   `db:"done"`
}

func run(ctx context.Context, out io.Writer, url, password string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := createTable(ctx, url, password); err != nil {
		return err
	}
	var devices []*device
	for _, d := range []struct{ name, user string }{{"alice's phone", "alice"}, {"alice's laptop", "alice"}, {"bob's phone", "bob"}} {
		db, err := client.New(url, auth.Static(auth.Basic(d.user, password)), client.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
		devices = append(devices, &device{name: d.name, db: db, sets: make(chan []note, 16)})
	}
	phone, laptop, bob := devices[0], devices[1], devices[2]

	// Every run begins with an empty list.
	for _, d := range []*device{phone, bob} {
		if _, err := d.db.Exec(ctx, "DELETE FROM demo.notes"); err != nil {
			return err
		}
	}
	for _, d := range devices {
		go d.watch(ctx)
		if err := d.wait(out, func(notes []note) bool { return len(notes) == 0 }); err != nil {
			return err
		}
	}

	steps := []struct {
		by  *device
		sql string
		arg any
		at  *device // who sees it
		ok  func(notes []note) bool
	}{
		{phone, "INSERT INTO demo.notes (text) VALUES ($1)", "buy bread", laptop, func(n []note) bool { return len(n) == 1 }},
		{laptop, "INSERT INTO demo.notes (text) VALUES ($1)", "call grandma", phone, func(n []note) bool { return len(n) == 2 }},
		{phone, "UPDATE demo.notes SET done = true WHERE text = $1", "buy bread", laptop, func(n []note) bool { return len(n) == 2 && n[0].Done }},
		{bob, "INSERT INTO demo.notes (text) VALUES ($1)", "water the plants", bob, func(n []note) bool { return len(n) == 1 }},
		{laptop, "DELETE FROM demo.notes WHERE text = $1", "buy bread", phone, func(n []note) bool { return len(n) == 1 }},
	}
	for _, s := range steps {
		fmt.Fprintf(out, "\n%s: %s\n", s.by.name, strings.ReplaceAll(s.sql, "$1", fmt.Sprintf("'%v'", s.arg)))
		if _, err := s.by.db.Exec(ctx, s.sql, s.arg); err != nil {
			return err
		}
		if err := s.at.wait(out, s.ok); err != nil {
			return err
		}
	}

	// Bob saw his own note and nothing else, all the time.
	res, err := bob.db.Query(ctx, "SELECT * FROM demo.notes")
	if err != nil {
		return err
	}
	notes, err := client.Collect[note](res.Rows())
	if err != nil {
		return err
	}
	if len(notes) != 1 || notes[0].Text != "water the plants" {
		return fmt.Errorf("bob sees %v", notes)
	}
	fmt.Fprintln(out, "\nbob has one note, his own; alice's are hers.")
	return nil
}

// createTable makes the table, which only somebody who may create tables can.
func createTable(ctx context.Context, url, password string) error {
	admin, err := client.New(url, auth.Static(auth.Basic("admin", password)), client.Options{})
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, sql := range []string{
		"CREATE NAMESPACE IF NOT EXISTS demo",
		`CREATE TABLE IF NOT EXISTS demo.notes (
			id   BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
			text TEXT NOT NULL,
			done BOOLEAN NOT NULL DEFAULT false
		) WITH (TYPE = 'USER')`,
	} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// watch follows the user's notes.
func (d *device) watch(ctx context.Context) {
	defer close(d.sets)
	for rows, err := range d.db.Live(ctx, "SELECT id, text, done FROM demo.notes", client.LiveOptions{}) {
		if err != nil {
			d.err = err
			return
		}
		notes, err := client.Collect[note](rows)
		if err != nil {
			d.err = err
			return
		}
		select {
		case d.sets <- notes:
		case <-ctx.Done():
			return
		}
	}
}

// wait prints what the device shows, until it is what we wait for.
func (d *device) wait(out io.Writer, ok func([]note) bool) error {
	for notes := range d.sets {
		fmt.Fprintf(out, "  %-15s shows %s\n", d.name, list(notes))
		if d.name == "bob's phone" && strings.Contains(list(notes), "grandma") {
			return fmt.Errorf("bob sees a note of alice")
		}
		if ok(notes) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", d.name, d.err)
}

func list(notes []note) string {
	if len(notes) == 0 {
		return "no notes"
	}
	var parts []string
	for _, n := range notes {
		mark := "[ ] "
		if n.Done {
			mark = "[x] "
		}
		parts = append(parts, mark+n.Text)
	}
	return strings.Join(parts, "  ")
}
