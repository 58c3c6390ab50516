// Command summarizer is a worker behind a topic: users write articles, every new
// article becomes a message, and the worker writes a summary back as the user
// whose article it is. A live query shows the summary arrive.
//
// Start a server with demo users (make run), then:
//
//	go run ./examples/summarizer -url http://localhost:8080
//
// The worker signs in as a user of its own with the role service. It may consume
// this topic because it was granted that, and it writes through EXECUTE AS USER,
// so that all it can change for alice is what alice could change herself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/consumer"
	"github.com/kalamdb/kalam-go/wire"
)

func main() {
	url := flag.String("url", "http://localhost:8080", "the server")
	password := flag.String("password", "Secret123!", "the password of alice, bob, admin and the worker")
	flag.Parse()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := run(ctx, os.Stdout, *url, *password); err != nil {
		fmt.Fprintln(os.Stderr, "summarizer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, url, password string) error {
	if err := setUp(ctx, url, password); err != nil {
		return fmt.Errorf("set up: %w", err)
	}

	// The worker runs beside the users here; usually it is a program of its own.
	working, stop := context.WithCancel(ctx)
	worker, err := consumer.New(url, auth.Static(auth.Basic("summarizer", password)), consumer.Options{
		Topic: "demo.new_articles", Group: "summarizer", Start: consumer.Earliest, BatchSize: 5,
	})
	if err != nil {
		stop()
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- worker.Run(working, func(ctx context.Context, m *consumer.Message) error {
			return write(ctx, worker.Client(), m)
		})
	}()
	err = users(ctx, out, url, password)
	stop()
	return errors.Join(err, <-ended, worker.Close())
}

// article is what a message of the topic holds.
type article struct {
	ID    json.Number `json:"id"` // a string, as it has 64 bits
	Title string      `json:"title"`
	Body  string      `json:"body"`
}

// write handles one message. It may come more than once, so it does the same
// whenever it comes.
func write(ctx context.Context, db *client.Client, m *consumer.Message) error {
	var a article
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		return err
	}
	user := strings.ReplaceAll(m.User, "'", "''")
	_, err := db.Exec(ctx, "EXECUTE AS USER '"+user+"' (UPDATE demo.articles SET summary = $1 WHERE id = $2)", summarize(a), a.ID.String())
	return err
}

// summarize stands in for a model: the first sentence.
func summarize(a article) string {
	first, _, _ := strings.Cut(a.Body, ". ")
	return a.Title + ": " + strings.TrimSuffix(first, ".") + "."
}

// users write an article each and wait until they see its summary.
func users(ctx context.Context, out io.Writer, url, password string) error {
	for user, body := range map[string]string{
		"alice": "Bread needs time. Mix flour, water and salt, and wait a day.",
		"bob":   "Tea needs water that boils. Green tea does not.",
	} {
		db, err := client.New(url, auth.Static(auth.Basic(user, password)), client.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
		if _, err := db.Exec(ctx, "DELETE FROM demo.articles"); err != nil { // of an earlier run
			return err
		}
		if _, err := db.Exec(ctx, "INSERT INTO demo.articles (title, body) VALUES ('Notes', $1)", body); err != nil {
			return err
		}
		if err := waitForSummary(ctx, out, db, user); err != nil {
			return err
		}
	}
	return nil
}

func waitForSummary(ctx context.Context, out io.Writer, db *client.Client, user string) error {
	type shown struct {
		Title   string  `db:"title"`
		Summary *string `db:"summary"`
	}
	for rows, err := range db.Live(ctx, "SELECT title, summary FROM demo.articles", client.LiveOptions{}) {
		if err != nil {
			return err
		}
		list, err := client.Collect[shown](rows)
		if err != nil {
			return err
		}
		for _, a := range list {
			if a.Summary == nil {
				fmt.Fprintf(out, "%-5s sees %q without a summary\n", user, a.Title)
				continue
			}
			fmt.Fprintf(out, "%-5s sees %q: %s\n", user, a.Title, *a.Summary)
			return nil
		}
	}
	return ctx.Err()
}

// setUp makes the table, the topic and the worker's user. It may run again.
func setUp(ctx context.Context, url, password string) error {
	admin, err := client.New(url, auth.Static(auth.Basic("admin", password)), client.Options{})
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, sql := range []string{
		"CREATE NAMESPACE IF NOT EXISTS demo",
		`CREATE TABLE IF NOT EXISTS demo.articles (
			id      BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
			title   TEXT NOT NULL,
			body    TEXT NOT NULL,
			summary TEXT
		) WITH (TYPE = 'USER')`,
		"CREATE TOPIC IF NOT EXISTS demo.new_articles PARTITIONS 2",
		"ALTER TOPIC demo.new_articles ADD SOURCE demo.articles ON INSERT",
		"CREATE USER IF NOT EXISTS summarizer WITH PASSWORD '" + strings.ReplaceAll(password, "'", "''") + "' ROLE service",
		"GRANT CONSUME ON TOPIC demo.new_articles TO USER summarizer",
	} {
		if _, err := admin.Exec(ctx, sql); err != nil && !errors.Is(err, &wire.Error{Code: wire.CodeAlreadyExists}) {
			return err
		}
	}
	return nil
}
