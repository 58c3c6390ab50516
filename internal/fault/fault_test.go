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

// TestOneCodeReachesEachFamilyInItsWay reads some of the table of answers.
func TestOneCodeReachesEachFamilyInItsWay(t *testing.T) {
	for _, c := range []struct {
		family fault.Family
		code   wire.Code
		want   fault.Answer
	}{
		{fault.SQL, wire.CodePermissionDenied, fault.Answer{Status: 403, Code: wire.CodePermissionDenied}},
		{fault.Topic, wire.CodePermissionDenied, fault.Answer{Status: 403, Code: wire.CodeTopicForbidden}},
		{fault.Auth, wire.CodePermissionDenied, fault.Answer{Status: 403, Code: "forbidden"}},
		{fault.Subscribe, wire.CodePermissionDenied, fault.Answer{Status: 400, Code: wire.CodeUnauthorized}},
		{fault.SQL, wire.CodeTableNotFound, fault.Answer{Status: 400, Code: wire.CodeTableNotFound}},
		{fault.Topic, wire.CodeTopicNotFound, fault.Answer{Status: 404, Code: wire.CodeNotFound}},
		{fault.File, wire.CodeFileNotFound, fault.Answer{Status: 404, Code: wire.CodeFileNotFound}},
		{fault.Live, wire.CodeDivisionByZero, fault.Answer{Status: 400, Code: wire.CodeConversionError}},
		{fault.Live, wire.CodeStatementTimeout, fault.Answer{Status: 400, Code: wire.CodeLiveQueryTooCostly}},
		{fault.Auth, wire.CodeTypeMismatch, fault.Answer{Status: 400, Code: "invalid_request"}},
	} {
		if got := fault.AnswerOf(c.family, c.code); got != c.want {
			t.Errorf("%s in family %d: got %v, want %v", c.code, c.family, got, c.want)
		}
	}
}
