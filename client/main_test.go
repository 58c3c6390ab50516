//go:build !js

package client_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

// The server that the examples talk to. It starts with the first of them.
var (
	examplesOnce sync.Once
	examplesNode *node.Node
	examplesDir  string
)

// server gives the URL of the examples' server.
func server() string {
	examplesOnce.Do(func() {
		dir, err := os.MkdirTemp("", "kalam-examples-")
		if err != nil {
			panic(err)
		}
		c := &config.Config{}
		c.Storage.DataPath = dir
		n, err := node.Start(context.Background(), c, node.Options{Version: "test", Demo: true})
		if err != nil {
			panic(err)
		}
		examplesNode, examplesDir = n, dir
	})
	return examplesNode.URL()
}

type examples struct{ *testing.M }

// Run runs the tests and ends the examples' server.
func (e examples) Run() int {
	code := e.M.Run()
	if examplesNode != nil {
		examplesNode.Close(context.Background())
		os.RemoveAll(examplesDir)
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(examples{m}) }
