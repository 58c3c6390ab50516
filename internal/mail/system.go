package mail

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// System is the table system.mail: the queue, without codes, links and whole
// addresses.
func System() *catalog.Table {
	col := catalog.Col
	return catalog.NewSystem(catalog.SystemNamespace, "mail", []catalog.Column{
		col("mail_id", wire.BigInt, true), col("purpose", wire.Text, true), col("recipient", wire.Text, true),
		col("user_id", wire.Text, false), col("state", wire.Text, true), col("tries", wire.Int, true),
		col("last_error", wire.Text, false), col("created_at", wire.Timestamp, true), col("next_try_at", wire.Timestamp, false),
	}, `SELECT id AS mail_id, purpose, masked AS recipient, nullif(user_id, '') AS user_id, state, tries,
		nullif(last_error, '') AS last_error, created_at, CASE WHEN state = 'queued' THEN next_at END AS next_try_at FROM mail`, nil)
}
