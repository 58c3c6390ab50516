package sqlite_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/store/sqlite"
	"github.com/kalamdb/kalam-go/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Driver {
		d, err := sqlite.Open(dir)
		if err != nil {
			t.Fatalf("open %s: %v", dir, err)
		}
		return d
	})
}
