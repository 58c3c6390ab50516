package node_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// TestContentIsSyncedBeforeItsRow watches the system calls of the real server:
// the content of a file is synced after its last write, then its folder, and
// only then does the row go into the write-ahead log.
func TestContentIsSyncedBeforeItsRow(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("this test needs strace: install the package strace")
	}
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	p := serve(t, dir, strace, "-D", "-f", "-ttt", "-T", "-y", "-s", "6000", "-o", trace, "-e", "trace=fsync,fdatasync,write,pwrite64")
	c := p.conn(p.login("admin"))
	c.must(t, "CREATE NAMESPACE crash", "CREATE USER TABLE crash.files (id INT PRIMARY KEY, body FILE, also FILE)")
	for i := range 5 {
		if err := c.put(t.Context(), fmt.Sprintf("INSERT INTO crash.files VALUES (%d, FILE('a'), NULL)", i), make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	rows := c.must(t, "SELECT body FROM crash.files").Rows
	p.stop()

	calls := readTrace(t, trace)
	for _, row := range rows {
		ref, err := wire.DecodeFileRef(row[0].Text())
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join("files", ref.Sub)
		var written, content, name, logged float64 // ends of the first three, begin of the last
		for _, c := range calls {
			sync := c.name == "fsync" || c.name == "fdatasync"
			switch {
			case strings.HasSuffix(c.file, filepath.Join(folder, ref.ID)) && c.name == "write":
				written = max(written, c.end)
			case strings.HasSuffix(c.file, filepath.Join(folder, ref.ID)) && sync:
				content = c.end
			case strings.HasSuffix(c.file, folder) && sync && content > 0 && name == 0 && c.begin >= content:
				name = c.end
			case strings.HasSuffix(c.file, "kalam.db-wal") && strings.Contains(c.args, ref.ID) && logged == 0:
				logged = c.begin
			}
		}
		if written == 0 || content < written || name < content || name == 0 || logged < name {
			t.Errorf("file %s: written %.6f, synced %.6f, its folder %.6f, its row logged %.6f", ref.ID, written, content, name, logged)
		}
	}
}
