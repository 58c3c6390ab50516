package sqlite_test

import (
	"testing"

	"modernc.org/libc"

	"github.com/kalamdb/kalam-go/internal/store/sqlite"
)

// TestPiecesCountWhatTheyTake compares what is counted for a piece of memory with
// the slot that the allocator gives it.
func TestPiecesCountWhatTheyTake(t *testing.T) {
	tls := libc.NewTLS()
	defer tls.Close()
	for n := int32(4096); n <= 16<<10-8; n += 120 {
		p := libc.Xmalloc(tls, libc.Tsize_t(n+8))
		if slot := int64(libc.Xmalloc_usable_size(tls, p)); sqlite.Taken(n) != slot {
			t.Errorf("%d bytes take %d, and %d are counted", n, slot, sqlite.Taken(n))
		}
		libc.Xfree(tls, p)
	}
	if n := sqlite.Taken(3_000_000); n != 3_000_000 {
		t.Errorf("a large piece counts %d", n)
	}
}
