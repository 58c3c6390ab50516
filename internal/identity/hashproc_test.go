package identity_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/password"
	"github.com/kalamdb/kalam-go/wire"
)

// hashWorker is the argument that makes the test binary a process for hashes.
const hashWorker = "hash-worker"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == hashWorker {
		if err := password.ServeHashes(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestHashesAreMadeByAnotherProcess(t *testing.T) {
	s := configured(t, identity.Options{HashCommand: []string{os.Args[0], hashWorker}, HashPatience: time.Hour})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Login(t.Context(), "alice", alicePassword, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := s.Login(t.Context(), "alice", "wrong password\xff", "192.0.2.1")
	wantCode(t, err, wire.CodeInvalidCredentials)
	s.create(identity.NewUser{Name: "eve", Auth: "PASSWORD", Secret: "Secret456!"})
	s.login("eve", "Secret456!")
	list := children(t)
	if len(list) == 0 {
		t.Fatal("no process has made them")
	}
	// One that has died is replaced.
	for _, pid := range list {
		if err := exec.Command("kill", "-9", pid).Run(); err != nil {
			t.Fatal(err)
		}
	}
	s.login("alice", alicePassword)
	s.Close()
	if left := children(t); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if strings.Contains(s.log.String(), "WARN") {
		t.Errorf("the log has %s", s.log)
	}
}

// children are the running processes for hashes that this process has started.
func children(t *testing.T) (out []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("no list of children: %v", err)
	}
	for _, path := range lists {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(text)) {
			line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			if strings.Contains(string(line), hashWorker) {
				out = append(out, pid)
			}
		}
	}
	return out
}

// TestBusyMachineKeepsNobodyOut has processes for hashes that never answer, as
// those of the lowest priority do when others have all processors.
func TestBusyMachineKeepsNobodyOut(t *testing.T) {
	s := configured(t, identity.Options{HashCommand: []string{"/bin/sleep", "3600"}, HashPatience: 50 * time.Millisecond})
	s.login("alice", alicePassword)
	if !strings.Contains(s.log.String(), "get no time") {
		t.Errorf("the log says nothing of it: %s", s.log)
	}
}

func TestHashesAreMadeHereWhenThereIsNoProcess(t *testing.T) {
	for _, command := range []string{"/nowhere/kalam", "/bin/false"} {
		s := configured(t, identity.Options{HashCommand: []string{command}})
		s.login("alice", alicePassword)
		_, err := s.Login(t.Context(), "alice", "wrong password", "192.0.2.1")
		wantCode(t, err, wire.CodeInvalidCredentials)
	}
}
