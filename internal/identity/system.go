package identity

import (
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// System are the tables of the server's own about sessions, API keys, what
// happened to identities, and the user who asks.
func (s *Service) System() []*catalog.Table {
	col := catalog.Col
	// As session.refreshUntil has it.
	idle := "last_seen_at + " + strconv.FormatInt(s.options.IdleTTL.Microseconds(), 10)
	until := "CASE WHEN expires_at < " + idle + " THEN expires_at ELSE " + idle + " END"
	now := s.db.Target().Micros()
	return []*catalog.Table{
		catalog.NewSystem(catalog.SystemNamespace, "sessions", []catalog.Column{
			col("session_id", wire.Text, true), col("user_id", wire.Text, true), col("issuer", wire.Text, true),
			col("auth_method", wire.Text, true), col("state", wire.Text, true), col("transport", wire.Text, true),
			col("client_addr", wire.Text, false), col("opened_at", wire.Timestamp, true), col("last_seen_at", wire.Timestamp, true),
			col("expires_at", wire.Timestamp, true), col("last_method", wire.Text, false),
		}, `SELECT ref AS session_id, user_id, '`+Issuer+`' AS issuer, auth_method,
			CASE WHEN ended_at IS NOT NULL THEN 'ended'
				WHEN (`+until+`) <= `+now+` THEN 'expired' ELSE 'open' END AS state,
			'http' AS transport, client_addr, created_at AS opened_at, last_seen_at, `+until+` AS expires_at,
			CASE WHEN generation > 0 THEN 'refresh' ELSE 'login' END AS last_method
			FROM sessions WHERE auth_method <> '`+mintedToken+`'`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "audit_log", []catalog.Column{
			col("audit_id", wire.Text, true), col("timestamp", wire.Timestamp, true), col("actor_user_id", wire.Text, true),
			col("action", wire.Text, true), col("target", wire.Text, true), col("details", wire.Text, false),
			col("ip_address", wire.Text, false), col("subject_user_id", wire.Text, false), col("outcome", wire.Text, true),
			col("method", wire.Text, false), col("session_id", wire.Text, false),
		}, `SELECT CAST(id AS TEXT) AS audit_id, at AS timestamp, coalesce(actor, '') AS actor_user_id, action, target, details,
			client_addr AS ip_address, subject AS subject_user_id, outcome, method, session AS session_id FROM audit`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "api_keys", []catalog.Column{
			col("user_id", wire.Text, true), col("name", wire.Text, true), col("prefix", wire.Text, true), col("read_only", wire.Boolean, true),
			col("namespaces", wire.JSON, false), col("topics", wire.JSON, false), col("state", wire.Text, true), col("created_by", wire.Text, true),
			col("created_at", wire.Timestamp, true), col("expires_at", wire.Timestamp, false), col("last_used_at", wire.Timestamp, false),
		}, `SELECT k.user_id, k.name, '`+keyMark+`' || k.prefix AS prefix, k.read_only, k.namespaces, k.topics,
			CASE WHEN k.expires_at <= `+now+` THEN 'expired'
				WHEN u.disabled <> 0 THEN 'user disabled' ELSE 'good' END AS state,
			k.created_by, k.created_at, k.expires_at, k.last_used_at FROM api_keys k JOIN users u ON u.user_id = k.user_id`, nil).OfUsers("user_id", true),
		catalog.NewSystem(catalog.SystemNamespace, "me", []catalog.Column{
			col("id", wire.Text, true), col("name", wire.Text, false), col("email", wire.Text, false), col("email_verified", wire.Boolean, true),
			col("role", wire.Text, true), col("created_at", wire.Timestamp, true),
		}, `SELECT user_id AS id, name, email, email_verified, role, created_at FROM users WHERE deleted_at IS NULL`, nil).OfUsers("id", false),
	}
}
