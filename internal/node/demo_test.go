package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

// startOn starts a server on a folder.
func startOn(t *testing.T, dir, host string, demo bool) (*node.Node, error) {
	t.Helper()
	c := &config.Config{}
	c.Server.Host, c.Storage.DataPath = host, dir
	n, err := node.Start(t.Context(), c, node.Options{Demo: demo})
	if err == nil {
		t.Cleanup(func() { n.Close(t.Context()) })
	}
	return n, err
}

func stop(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// signsIn reports whether a user signs in with the password of the demo.
func signsIn(t *testing.T, n *node.Node, user string) bool {
	t.Helper()
	db, err := client.New(n.URL(), auth.Static(auth.Basic(user, node.DemoPassword)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Query(t.Context(), "SELECT 1")
	return err == nil
}

// TestDemoDataGoOnlyIntoAFolderOfTheDemo tries folders that a demo did not make.
// Nothing is planted there, before the refusal or at a later start.
func TestDemoDataGoOnlyIntoAFolderOfTheDemo(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string){
		"made by a server that nobody has set up": func(t *testing.T, dir string) {
			n, err := startOn(t, dir, "", false)
			if err != nil {
				t.Fatal(err)
			}
			stop(t, n)
		},
		"with signing keys alone": func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"with the files of another server": func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "files", "0001"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			make(t, dir)
			_, err := startOn(t, dir, "", true)
			if err == nil {
				t.Fatal("the demo started")
			}
			for _, word := range []string{dir, "known password", "--data", "without --demo"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
			n, err := startOn(t, dir, "", false)
			if err != nil {
				t.Fatal(err)
			}
			if needed, err := n.NeedsSetup(t.Context()); err != nil || !needed {
				t.Errorf("needs its setup: %v, %v", needed, err)
			}
			for _, user := range []string{"alice", "bob", "admin", "root"} {
				if signsIn(t, n, user) {
					t.Errorf("%s was planted", user)
				}
			}
		})
	}
}

// TestDemoFolderServesAgain starts a demo in a new folder, in an empty one and in
// one with foreign files in it, and each of them once more.
func TestDemoFolderServesAgain(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"new":   func(string) error { return nil },
		"empty": func(dir string) error { return os.MkdirAll(dir, 0o700) },
		"with foreign files": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "provider"), 0o700)
		},
		"whose first start was cut off": func(dir string) error {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "kalam.db"), nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "demo")
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				n, err := startOn(t, dir, "", true)
				if err != nil {
					t.Fatal(err)
				}
				for _, user := range []string{"alice", "bob", "admin"} {
					if !signsIn(t, n, user) {
						t.Errorf("%s cannot sign in", user)
					}
				}
				stop(t, n)
			}
		})
	}
}

// TestDemoFolderIsServedOnLoopbackOnly starts a server, with and without the
// demo, where others could reach users whose password everybody knows. Removing
// the mark is how an operator says that nobody has that password any more.
func TestDemoFolderIsServedOnLoopbackOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if _, err := startOn(t, dir, "0.0.0.0", true); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("with the demo: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the refused demo has made its folder")
	}
	n, err := startOn(t, dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	mark := filepath.Join(dir, node.DemoMark)
	if _, err := startOn(t, dir, "0.0.0.0", false); err == nil || !strings.Contains(err.Error(), "loopback") || !strings.Contains(err.Error(), mark) {
		t.Errorf("without the demo: %v", err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if _, err := startOn(t, dir, "0.0.0.0", false); err != nil {
		t.Errorf("without the mark: %v", err)
	}
}

// TestDemoHasItsAdminBesideARootPassword starts a demo whose root has a password
// of its own: admin is there all the same.
func TestDemoHasItsAdminBesideARootPassword(t *testing.T) {
	c := &config.Config{}
	c.Storage.DataPath, c.Auth.RootPassword = t.TempDir(), "another-Root-pass-1"
	n, err := node.Start(t.Context(), c, node.Options{Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	if !signsIn(t, n, "admin") {
		t.Error("admin cannot sign in")
	}
	if signsIn(t, n, "root") {
		t.Error("root has the demo's password")
	}
}
