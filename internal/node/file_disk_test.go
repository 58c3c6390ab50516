package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

const smallDisk = 24 << 20

// small gives a folder that holds 24 MiB, and what starts a server in it: a file
// system in memory where this user may mount one, else a limit on the size of
// every file of the server, which fails in the same way.
func small(t *testing.T) (dir string, before []string, mounted bool) {
	t.Helper()
	dir = t.TempDir()
	before = []string{"env", "KALAMDB_FILES_MAX_SIZE_BYTES=1000000000"}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err == nil {
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		return dir, before, true
	} else if os.Geteuid() == 0 && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) {
		t.Fatalf("mount: %v", err)
	}
	limit := fmt.Sprintf(`ulimit -f %d; exec "$@"`, smallDisk/512)
	return dir, append([]string{"sh", "-c", limit, "sh"}, before...), false
}

// TestFullDiskLeavesNoFile fills the disk of a server with an upload.
func TestFullDiskLeavesNoFile(t *testing.T) {
	t.Parallel()
	dir, before, mounted := small(t)
	p := serve(t, dir, before...)
	token := p.login("admin")
	c := p.conn(token)
	c.must(t, "CREATE NAMESPACE crash", "CREATE USER TABLE crash.files (id INT PRIMARY KEY, body FILE, also FILE)")
	rows := 0
	holds := func(after string) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for len(contents(t, dir)) != rows && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		agree(t, c, dir, nil)
		if n := c.must(t, "SELECT count(*) FROM crash.files").Rows[0][0].Int(); int(n) != rows {
			t.Errorf("after %s: %d rows, want %d", after, n, rows)
		}
	}
	put := func(id, size int) error {
		return c.put(t.Context(), fmt.Sprintf("INSERT INTO crash.files VALUES (%d, FILE('a'), NULL)", id), make([]byte, size))
	}
	full := func(err error) bool {
		var refused *wire.Error
		return errors.As(err, &refused) && refused.Code == wire.CodeDatabaseUnavailable
	}
	if err := put(1, 1000); err != nil {
		t.Fatal(err)
	}
	rows++
	holds("the first upload")
	for range 3 {
		if err := put(2, smallDisk+1); !full(err) {
			t.Errorf("an upload that does not fit: %v", err)
		}
		holds("an upload that does not fit")
	}
	if err := put(3, 1<<20); err != nil {
		t.Errorf("an upload that fits: %v", err)
	}
	rows++
	holds("an upload that fits")
	if mounted {
		fillAround(t, dir, func(left int) {
			switch err := put(100+left, 1); {
			case err == nil:
				rows++
				if left == 0 {
					t.Error("an upload without a page left went well")
				}
			case !full(err):
				t.Errorf("with %d pages left: %v", left, err)
			}
			holds(fmt.Sprintf("an upload with %d pages left", left))
		})
		if err := put(4, 1<<20); err != nil {
			t.Errorf("an upload after there is room again: %v", err)
		}
		rows++
		holds("an upload after there is room again")
	}
	p.stop()
}

// fillAround calls fn with the disk filled up to a few pages, fewer each time.
func fillAround(t *testing.T, dir string, fn func(left int)) {
	t.Helper()
	page := os.Getpagesize()
	for left := 12; left >= 0; left-- {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, max(int(fs.Bfree)*int(fs.Bsize)-left*page, 0)), 0o600); err != nil {
			t.Fatal(err)
		}
		fn(left)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}
