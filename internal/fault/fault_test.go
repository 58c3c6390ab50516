package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/wire"
)

// TestAnErrorThatOthersHoldIsCopied adds everything that can be added to one
// error, which stays as it was.
func TestAnErrorThatOthersHoldIsCopied(t *testing.T) {
	shared := wire.NewError(wire.CodeTypeMismatch, "no")
	err := fault.In("column a", fault.At("SELECT\n x", 8, fmt.Errorf("bind: %w", shared)))
	if got := err.Error(); got != "column a: no (line 2, column 2)" {
		t.Errorf("got %q", got)
	}
	if *shared != *wire.NewError(wire.CodeTypeMismatch, "no") {
		t.Errorf("the shared error became %+v", *shared)
	}
}

func TestTheFirstPlaceOfAnErrorStays(t *testing.T) {
	err := fault.At("a b", 2, fault.At("a b", 0, wire.NewError(wire.CodeInvalidSQL, "no")))
	if got := err.Error(); got != "no (line 1, column 1)" {
		t.Errorf("got %q", got)
	}
}

func TestAnErrorWithoutACodeIsLeftAlone(t *testing.T) {
	plain := errors.New("disk")
	if err := fault.At("a", 0, fault.In("b", plain)); err != plain {
		t.Errorf("got %v", err)
	}
	if err := fault.At("a", 0, nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}
