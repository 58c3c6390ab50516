//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// A client asks its provider for credentials whenever it needs some, so that
// getting and refreshing tokens has one place.
func ExampleNew() {
	provider := auth.ProviderFunc(func(ctx context.Context) (auth.Auth, error) {
		token, err := getOrRefreshJWT(ctx) // your token store
		if err != nil {
			return auth.Auth{}, err
		}
		return auth.JWT(token), nil
	})
	db, err := client.New(server(), provider, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	row, err := db.QueryRow(context.Background(), "SELECT CURRENT_USER() AS me")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(row.Text("me"))
	// Output: alice
}

// getOrRefreshJWT stands for the token store of an application.
func getOrRefreshJWT(ctx context.Context) (string, error) {
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		return "", err
	}
	defer db.Close()
	l, err := db.Login(ctx)
	if err != nil {
		return "", err
	}
	return l.AccessToken, nil
}

// User and password are exchanged for a token before the first query; nothing
// but the login request ever carries them.
func ExampleNew_password() {
	provider := auth.Static(auth.Basic("alice", "Secret123!"))
	db, err := client.New(server(), provider, client.Options{Namespace: "chat"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	row, err := db.QueryRow(context.Background(), "SELECT body FROM messages WHERE room = $1", "general")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(row.Text("body"))
	// Output: Only alice sees this row.
}

func ExampleClient_Login() {
	ctx := context.Background()
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	login, err := db.Login(ctx)
	if err != nil {
		log.Fatal(err)
	}
	refreshed, err := db.RefreshToken(ctx, login.RefreshToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(login.User.ID, refreshed.AccessToken != login.AccessToken)
	// Output: alice true
}

// Rows go into structs by their tags.
func ExampleCollect() {
	ctx := context.Background()
	db, err := client.New(server(), auth.Static(auth.Basic("bob", "Secret123!")), client.Options{Namespace: "chat"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(ctx, "INSERT INTO messages (id, room, body) VALUES ($1, $2, $3), (2, 'lunch', 'pasta')", 1, "lunch", "pizza"); err != nil {
		log.Fatal(err)
	}

	type message struct {
		ID   int64  `db:"id"`
		Body string `db:"body"`
	}
	res, err := db.Query(ctx, "SELECT * FROM messages WHERE room = $1 ORDER BY id", "lunch")
	if err != nil {
		log.Fatal(err)
	}
	messages, err := client.Collect[message](res.Rows())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(messages)
	// Output: [{1 pizza} {2 pasta}]
}

// A batch is one transaction: its statements happen all or not at all.
func ExampleClient_Batch() {
	ctx := context.Background()
	db, err := client.New(server(), auth.Static(auth.Basic("bob", "Secret123!")), client.Options{Namespace: "chat"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	_, err = db.Batch(ctx, []client.Statement{
		client.Stmt("INSERT INTO messages (id, room, body) VALUES ($1, 'batch', 'first')", 100),
		client.Stmt("INSERT INTO messages (id, room, body) VALUES ($1, 'batch', 'second')", 100),
	})
	var e *wire.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, "in statement", e.Statement)
	}
	row, err := db.QueryRow(ctx, "SELECT count(*) AS n FROM messages WHERE room = 'batch'")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(row.Int("n"), "rows")
	// Output:
	// UNIQUE_VIOLATION in statement 2
	// 0 rows
}

// A live query gives all its rows after every change, until the loop is left.
func ExampleClient_Live() {
	ctx := context.Background()
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{Namespace: "chat"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	for rows, err := range db.Live(ctx, "SELECT * FROM chat.messages WHERE room = 'live'", client.LiveOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(rows), "rows")
		if len(rows) == 2 {
			break
		}
		if _, err := db.Exec(ctx, "INSERT INTO messages (room, body) VALUES ('live', 'hello')"); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 0 rows
	// 1 rows
	// 2 rows
}

// A subscription gives each change by itself. Its position allows to go on
// later, with another client, from where this one stopped.
func ExampleClient_Subscribe() {
	ctx := context.Background()
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{Namespace: "chat"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var position int64
	for e, err := range db.Subscribe(ctx, "SELECT id, body FROM chat.messages WHERE room = 'raw'", client.SubscribeOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if e.Ready {
			db.Exec(ctx, "INSERT INTO messages (room, body) VALUES ('raw', 'one')")
		}
		if e.Type == client.EventInsert {
			fmt.Println("insert", e.Rows[0].Text("body"))
			position = e.Position
			break
		}
	}
	db.Exec(ctx, "UPDATE messages SET body = 'two' WHERE room = 'raw'") // nobody watches
	for e, err := range db.Subscribe(ctx, "SELECT id, body FROM chat.messages WHERE room = 'raw'", client.SubscribeOptions{From: position}) {
		if err != nil {
			log.Fatal(err)
		}
		if e.Type == client.EventUpdate {
			fmt.Println("update", e.Rows[0].Text("body"))
			break
		}
	}
	// Output:
	// insert one
	// update two
}

// Errors are told apart by what they are about; an answer of the server is a
// *wire.Error too.
func ExampleErrForbidden() {
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	_, err = db.Query(context.Background(), "DROP USER bob")
	fmt.Println(errors.Is(err, client.ErrForbidden), errors.Is(err, client.ErrUnauthenticated))
	// Output: true false
}

// A file goes up with the row that refers to it, and comes back by the reference
// that the row holds, whole or in part.
func ExampleClient_ExecFiles() {
	ctx := context.Background()
	admin, err := client.New(server(), auth.Static(auth.Basic("admin", "Secret123!")), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec(ctx, "CREATE USER TABLE IF NOT EXISTS chat.photos (id INT PRIMARY KEY, photo FILE)"); err != nil {
		log.Fatal(err)
	}
	db, err := client.New(server(), auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	_, err = db.ExecFiles(ctx, `INSERT INTO chat.photos (id, photo) VALUES ($1, FILE("photo"))`,
		client.Files{"photo": {Name: "note.txt", Body: strings.NewReader("Hello, alice")}}, 1)
	if err != nil {
		log.Fatal(err)
	}
	row, err := db.QueryRow(ctx, "SELECT photo FROM chat.photos WHERE id = $1", 1)
	if err != nil {
		log.Fatal(err)
	}
	var photo client.FileRef
	if err := row.Scan(&photo); err != nil {
		log.Fatal(err)
	}
	body, err := db.OpenFile(ctx, "chat.photos", &photo, client.Range{Offset: 7})
	if err != nil {
		log.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(photo.Name, photo.FormatSize(), string(text))
	// Output: note.txt 12 B alice
}
