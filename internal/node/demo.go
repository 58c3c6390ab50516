package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/files"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// DemoPassword is the password of every user of the demo data.
const DemoPassword = "Secret123!"

// DemoMark is the file that marks a data folder that the demo created.
const DemoMark = "DEMO"

const markText = `This data folder was created by kalam serve --demo. The password of its users, root
among them, is known to everybody, so it is served on a loopback address only. When you
have changed all of their passwords, removing this file makes it a folder like any other.
`

// isDemo reports whether the demo created a data folder.
func isDemo(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, DemoMark))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// markDemo marks a locked data folder as the demo's. It refuses a folder that
// holds anything of a server that is not the demo's.
func markDemo(dir string) error {
	marked, err := isDemo(dir)
	if marked || err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch name := e.Name(); {
		case name == sqlite.FileName && info.Size() == 0: // of a start that was cut off
		case strings.HasPrefix(name, sqlite.FileName), name == "keys", name == files.Folder:
			return fmt.Errorf("%s is the data folder of a server that is not a demo, and demo users have a known password: choose a new folder with --data, or start without --demo", dir)
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, DemoMark), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(markText)
	return errors.Join(err, f.Sync(), f.Close())
}

// checkDemo makes sure that demo data stays in a locked folder of its own, and a
// demo's folder on this machine.
func checkDemo(dir string, demo, loopback bool, log *slog.Logger) error {
	if demo {
		return markDemo(dir)
	}
	marked, err := isDemo(dir)
	if err != nil || !marked {
		return err
	}
	if mark := filepath.Join(dir, DemoMark); !loopback {
		return fmt.Errorf("%s was created by the demo, and its users have a known password: it is served on a loopback address only, until you have changed the passwords and removed %s", dir, mark)
	}
	log.Warn("the demo created this data folder, and its users have a known password; start with another folder for data of your own", "data", dir)
	return nil
}

// makeDemo makes the users and the table that the documentation uses. On a
// folder that has them already it changes nothing.
func makeDemo(ctx context.Context, users *identity.Service, e *engine.Engine) error {
	needed, err := users.NeedsSetup(ctx)
	if err != nil {
		return err
	}
	if needed {
		if _, err := users.Setup(ctx, "admin", DemoPassword, DemoPassword, ""); err != nil {
			return err
		}
	}
	root := &identity.Principal{UserID: identity.Root, Role: identity.RoleSystem, Issuer: identity.Issuer}
	run := func(who *identity.Principal, sql string) error {
		_, err := e.Run(ctx, who, &wire.Request{SQL: sql})
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		return nil
	}
	created, err := e.Run(ctx, root, &wire.Request{SQL: "SELECT count(*) FROM system.tables WHERE namespace_id = 'chat' AND table_name = 'messages'"})
	if err != nil {
		return err
	}
	if created[0].Rows[0][0].Int() > 0 {
		return nil
	}
	for _, sql := range []string{
		"CREATE USER IF NOT EXISTS admin WITH PASSWORD '" + DemoPassword + "' ROLE dba",
		"CREATE USER IF NOT EXISTS alice WITH PASSWORD '" + DemoPassword + "' ROLE user EMAIL 'alice@example.com'",
		"CREATE USER IF NOT EXISTS bob WITH PASSWORD '" + DemoPassword + "' ROLE user EMAIL 'bob@example.com'",
		"CREATE NAMESPACE IF NOT EXISTS chat",
		`CREATE USER TABLE IF NOT EXISTS chat.messages (
			id         BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
			room       TEXT NOT NULL DEFAULT 'general',
			body       TEXT NOT NULL,
			created_at TIMESTAMP NOT NULL DEFAULT NOW()
		)`,
	} {
		if err := run(root, sql); err != nil {
			return err
		}
	}
	for user, body := range map[string]string{"alice": "Only alice sees this row.", "bob": "Only bob sees this row."} {
		who := &identity.Principal{UserID: user, Role: identity.RoleUser, Issuer: identity.Issuer}
		if err := run(who, "INSERT INTO chat.messages (body) VALUES ('"+body+"')"); err != nil {
			return err
		}
	}
	return nil
}
