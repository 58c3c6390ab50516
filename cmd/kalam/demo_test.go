package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCopyOfADemoIsADemo restores the backup of a demo: the demo goes on in it.
// Another server's folder is refused, and keeps its own first setup.
func TestCopyOfADemoIsADemo(t *testing.T) {
	p := newPerson(t)
	p.serve("--demo")
	p.ok("", "backup", "--data", "demo", "demo.tar")
	unpack(t, filepath.Join(p.home, "demo.tar"), filepath.Join(p.home, "restored"))
	url := p.serve("--demo", "--data", "restored")
	p.ok("Secret123!\n", "login", "--url", url, "admin")
	if _, err := os.Stat(filepath.Join(p.home, "data")); err == nil {
		t.Error("the demo has used ./data")
	}

	url = p.serve()
	p.ok("boss\nBoss-pass-1\nRoot-pass-1\n", "setup", "--url", url)
	p.ok("", "backup", "data.tar")
	unpack(t, filepath.Join(p.home, "data.tar"), filepath.Join(p.home, "real"))
	o := p.fails(1, "without --demo", "serve", "--listen", "localhost:0", "--demo", "--data", "real")
	if strings.Contains(o.out, "Secret123!") {
		t.Errorf("it prints a password: %s", o.out)
	}
	url = p.serve("--data", "real")
	p.ok("Boss-pass-1\n", "login", "--url", url, "boss")
	if out := p.ok("", "sql", "--csv", "-e", "SELECT user_id FROM system.users WHERE user_id IN ('alice', 'bob', 'admin')"); out != "user_id\n" {
		t.Errorf("planted: %s", out)
	}
}
