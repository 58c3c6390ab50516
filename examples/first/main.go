// Command first is the program of the README: a query, an insert and a live
// query as alice. It needs the server of make run.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

type task struct {
	ID    int64  `db:"id"`
	Title string `db:"title"`
}

func main() {
	ctx := context.Background()
	db, err := client.New("http://localhost:8080", auth.Static(auth.Basic("alice", "Secret123!")), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	if _, err := db.Exec(ctx, "INSERT INTO app.tasks (id, title) VALUES ($1, $2)", 4, "learn Go"); err != nil {
		log.Fatal(err)
	}
	for rows, err := range db.Live(ctx, "SELECT id, title FROM app.tasks WHERE id >= $1", client.LiveOptions{Args: []any{3}}) {
		if err != nil {
			log.Fatal(err)
		}
		tasks, err := client.Collect[task](rows) // all of them, again after every change
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tasks)
		if len(tasks) == 0 {
			return
		}
		if _, err := db.Exec(ctx, "DELETE FROM app.tasks WHERE id = $1", tasks[0].ID); err != nil {
			log.Fatal(err)
		}
	}
}
