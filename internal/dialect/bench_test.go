package dialect_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

// twentyLines is a query of the size of a report.
const twentyLines = `WITH recent AS (
  SELECT o.customer_id, o.id AS order_id, o.total, o.created_at
  FROM shop.orders o
  WHERE o.created_at >= TIMESTAMP '2024-01-01 00:00:00'
    AND o.status IN ('paid', 'shipped', 'delivered')
)
SELECT c.id,
       c.name,
       count(*) AS orders,
       sum(r.total) FILTER (WHERE r.total > 0) AS revenue,
       max(r.created_at) AS last_order,
       CASE WHEN sum(r.total) > 1000 THEN 'gold' WHEN sum(r.total) > 100 THEN 'silver' ELSE 'none' END AS tier,
       row_number() OVER (PARTITION BY c.country ORDER BY sum(r.total) DESC) AS rank
FROM shop.customers c
LEFT JOIN recent r ON r.customer_id = c.id
WHERE c.country = $1 AND c.deleted IS NOT TRUE
  AND c.name ILIKE $2 || '%'
GROUP BY c.id, c.name, c.country
HAVING count(*) > 3
ORDER BY revenue DESC NULLS LAST, c.name LIMIT 50`

func BenchmarkParseSelect(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dialect.Parse(twentyLines); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseInsert(b *testing.B) {
	const sql = "INSERT INTO app.messages (id, room, body) VALUES ($1, $2, $3)"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dialect.Parse(sql); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseManyRows(b *testing.B) {
	sql := "INSERT INTO t VALUES " + strings.Repeat("(1, 'abc', TRUE, 1.5), ", 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dialect.Parse(sql); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrint(b *testing.B) {
	src, err := dialect.Parse(twentyLines)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		dialect.Print(src.Statements[0])
	}
}
