//go:build !js

package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// script signs alice in with user and password, writes and watches a row, and
// prints what a page would see.
const script = `
require(process.env.WASM_EXEC);
const fs = require('fs');
process.on('unhandledRejection', (e) => { console.log('unhandled', e); process.exit(1); });
(async () => {
  const go = new Go();
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(process.env.WASM), go.importObject);
  go.run(instance);
  let asked = 0;
  const db = kalamNewClient(process.env.URL, async () => { asked++; return { type: 'basic', user: 'alice', password: process.env.PASSWORD }; });
  const some = await Promise.all([1, 2, 3].map((n) => db.query('SELECT $1 AS n, CURRENT_USER() AS me', JSON.stringify([n]))));
  console.log('rows', some.map((s) => JSON.stringify(JSON.parse(s)[0].rows)).join(' '), 'asked', asked);
  try { await db.query('SELEKT 1'); } catch (e) { console.log('error', e instanceof Error, e.code, e.line); }
  const sets = [];
  let wake = () => {};
  const end = db.live("SELECT id, body FROM chat.messages WHERE room = $1", '["wasm"]', (json) => { sets.push(json); wake(); }, (e) => { console.log('live failed', e); process.exit(1); });
  const until = async (n) => { while (sets.length < n) await new Promise((r) => { wake = r; }); };
  await until(1);
  await db.query("INSERT INTO chat.messages (id, room, body) VALUES (9007199254740993, 'wasm', 'grüße 🎉')");
  await until(2);
  console.log('live', sets[0], sets[1]);
  end();
  const login = JSON.parse(await db.login());
  console.log('login', login.user.id, typeof login.access_token);
  await db.close();
  try { await db.query('SELECT 1'); } catch (e) { console.log('closed', e.message); }
  process.exit(0);
})();
`

// TestInNode runs the program in Node against a real server.
func TestInNode(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	dir := t.TempDir()
	wasm := filepath.Join(dir, "kalam.wasm")
	build := exec.Command("go", "build", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "run.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	run := exec.CommandContext(ctx, "node", "--experimental-websocket", file) // Node before 22 has none without the flag
	run.Env = append(os.Environ(), "URL="+s.URL, "PASSWORD="+servertest.Password, "WASM="+wasm,
		"WASM_EXEC="+filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", runtime.GOOS, err, out)
	}
	for _, want := range []string{
		`rows [["1","alice"]] [["2","alice"]] [["3","alice"]] asked 1`,
		"error true INVALID_SQL 1",
		`live [] [{"id":"9007199254740993","body":"grüße 🎉"`,
		"login alice string",
		"closed client is closed",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
