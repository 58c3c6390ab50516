package node

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// DemoPassword is the password of every user of the demo data.
const DemoPassword = "Secret123!"

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
