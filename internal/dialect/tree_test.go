package dialect_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

var posType = reflect.TypeFor[dialect.Pos]()

// sameTree compares two trees and leaves out positions. It gives the path to
// the first difference, "" for none.
func sameTree(a, b any) string { return same(reflect.ValueOf(a), reflect.ValueOf(b), "") }

func same(a, b reflect.Value, path string) string {
	if !a.IsValid() || !b.IsValid() {
		if a.IsValid() != b.IsValid() {
			return path + ": only one is there"
		}
		return ""
	}
	if a.Type() != b.Type() {
		return path + ": " + a.Type().String() + " and " + b.Type().String()
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return path + ": only one is there"
			}
			return ""
		}
		return same(a.Elem(), b.Elem(), path)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return path + ": lengths differ"
		}
		for i := range a.Len() {
			if d := same(a.Index(i), b.Index(i), path+"[]"); d != "" {
				return d
			}
		}
		return ""
	case reflect.Struct:
		for i := range a.NumField() {
			if d := same(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); d != "" {
				return d
			}
		}
		return ""
	case reflect.String:
		if a.String() != b.String() {
			return path + ": " + a.String() + " and " + b.String()
		}
	case reflect.Bool:
		if a.Bool() != b.Bool() {
			return path + ": bools differ"
		}
	case reflect.Int:
		if a.Type() != posType && a.Int() != b.Int() {
			return path + ": numbers differ"
		}
	default:
		panic("a kind that trees do not hold: " + a.Kind().String())
	}
	return ""
}

// caseTexts are the texts of all case files.
func caseTexts(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	var list []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(data), "\n\n") {
			end := len(block)
			for _, mark := range []string{"\n= ", "\n! ", "\n~ "} {
				if i := strings.Index(block, mark); i >= 0 {
					end = min(end, i)
				}
			}
			list = append(list, block[:end])
		}
	}
	return list
}

// roundTrip checks that the print of a text parses to the same tree and
// prints the same again.
func roundTrip(t *testing.T, sql string) {
	t.Helper()
	src, err := dialect.Parse(sql)
	if err != nil {
		return
	}
	for _, s := range src.Statements {
		printed := dialect.Print(s)
		again, err := dialect.Parse(printed)
		if err != nil && strings.Contains(err.Error(), "deeper than") {
			continue // the print has parentheses that the text did not need
		}
		if err != nil {
			t.Fatalf("%q prints as\n%s\nwhich does not parse: %v", sql, printed, err)
		}
		if len(again.Statements) != 1 {
			t.Fatalf("%q prints as\n%s\nwhich is %d statements", sql, printed, len(again.Statements))
		}
		if d := sameTree(s, again.Statements[0]); d != "" {
			t.Fatalf("%q prints as\n%s\nwhich is another tree: %s", sql, printed, d)
		}
		if twice := dialect.Print(again.Statements[0]); twice != printed {
			t.Fatalf("%q prints as\n%s\nand then as\n%s", sql, printed, twice)
		}
	}
}

func TestPrintParsesToTheSameTree(t *testing.T) {
	for _, sql := range caseTexts(t) {
		roundTrip(t, sql)
	}
}

// nodesIn finds every node of a tree by reflection.
func nodesIn(v reflect.Value, found map[any]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if n, ok := v.Interface().(dialect.Node); ok {
			found[n] = true
		}
		nodesIn(v.Elem(), found)
	case reflect.Interface:
		if !v.IsNil() {
			nodesIn(v.Elem(), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			nodesIn(v.Index(i), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				nodesIn(v.Field(i), found)
			}
		}
	}
}

// TestWalkMissesNoNode walks every case and compares with what reflection
// finds; the cases hold every type of node in every field.
func TestWalkMissesNoNode(t *testing.T) {
	seen := map[string]bool{}
	for _, sql := range caseTexts(t) {
		src, err := dialect.Parse(sql)
		if err != nil {
			continue
		}
		for _, s := range src.Statements {
			all, walked := map[any]bool{}, map[any]bool{}
			nodesIn(reflect.ValueOf(s), all)
			dialect.Walk(s, func(n dialect.Node) bool {
				if walked[n] {
					t.Errorf("%s: %T is visited twice", sql, n)
				}
				walked[n] = true
				return true
			})
			for n := range all {
				if !walked[n] {
					t.Errorf("%s: %T is not visited", sql, n)
				}
				seenFields(reflect.ValueOf(n).Elem(), seen)
			}
			if len(walked) > len(all) {
				t.Errorf("%s: %d nodes visited, %d in the tree", sql, len(walked), len(all))
			}
		}
	}
	for _, typ := range nodeTypes {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.IsExported() && !seen[typ.Name()+"."+f.Name] {
				t.Errorf("no case has a %s with %s", typ.Name(), f.Name)
			}
		}
	}
}

// seenFields marks the fields of a node that are not empty.
func seenFields(v reflect.Value, seen map[string]bool) {
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			seen[v.Type().Name()+"."+v.Type().Field(i).Name] = true
		}
	}
}

func TestWalkStopsWhereTold(t *testing.T) {
	src, err := dialect.Parse("SELECT a FROM t WHERE b IN (SELECT c FROM u)")
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	dialect.Walk(src.Statements[0], func(n dialect.Node) bool {
		if c, ok := n.(*dialect.Column); ok {
			columns = append(columns, c.Name[0].Name)
		}
		_, in := n.(*dialect.In)
		return !in
	})
	if got := strings.Join(columns, " "); got != "a" {
		t.Errorf("visited %q, want a", got)
	}
	dialect.Walk(nil, func(dialect.Node) bool { t.Error("nil has no nodes"); return true })
}

// nodeTypes are the types of node that have parts.
var nodeTypes = []reflect.Type{
	reflect.TypeFor[dialect.Unary](), reflect.TypeFor[dialect.Binary](), reflect.TypeFor[dialect.Is](),
	reflect.TypeFor[dialect.In](), reflect.TypeFor[dialect.Between](), reflect.TypeFor[dialect.Like](),
	reflect.TypeFor[dialect.Case](), reflect.TypeFor[dialect.Cast](), reflect.TypeFor[dialect.Call](),
	reflect.TypeFor[dialect.Scalar](), reflect.TypeFor[dialect.Exists](), reflect.TypeFor[dialect.Tuple](),
	reflect.TypeFor[dialect.Query](), reflect.TypeFor[dialect.Select](), reflect.TypeFor[dialect.SetOp](),
	reflect.TypeFor[dialect.Values](), reflect.TypeFor[dialect.With](), reflect.TypeFor[dialect.Join](),
	reflect.TypeFor[dialect.SubqueryRef](), reflect.TypeFor[dialect.TableRef](), reflect.TypeFor[dialect.Insert](),
	reflect.TypeFor[dialect.OnConflict](), reflect.TypeFor[dialect.Update](), reflect.TypeFor[dialect.Delete](),
	reflect.TypeFor[dialect.CreateTable](), reflect.TypeFor[dialect.DropTable](), reflect.TypeFor[dialect.CreateUser](),
	reflect.TypeFor[dialect.AlterUser](), reflect.TypeFor[dialect.ExecuteAs](), reflect.TypeFor[dialect.Rollback](), reflect.TypeFor[dialect.RollbackTo](),
	reflect.TypeFor[dialect.Typed](), reflect.TypeFor[dialect.FileRef](),
	reflect.TypeFor[dialect.AlterTable](), reflect.TypeFor[dialect.CreateIndex](), reflect.TypeFor[dialect.DropIndex](),
	reflect.TypeFor[dialect.AlterNamespace](), reflect.TypeFor[dialect.AddColumn](), reflect.TypeFor[dialect.DropColumn](),
	reflect.TypeFor[dialect.ModifyColumn](), reflect.TypeFor[dialect.SetNotNull](), reflect.TypeFor[dialect.DropNotNull](),
	reflect.TypeFor[dialect.SetDefault](), reflect.TypeFor[dialect.DropDefault](), reflect.TypeFor[dialect.RenameColumn](),
	reflect.TypeFor[dialect.RenameTable](), reflect.TypeFor[dialect.SetOptions](), reflect.TypeFor[dialect.AddConstraint](),
	reflect.TypeFor[dialect.DropConstraint](), reflect.TypeFor[dialect.Explain](), reflect.TypeFor[dialect.Describe](),
	reflect.TypeFor[dialect.Show](), reflect.TypeFor[dialect.SetVar](), reflect.TypeFor[dialect.Savepoint](),
	reflect.TypeFor[dialect.Release](), reflect.TypeFor[dialect.KillLive](),
	reflect.TypeFor[dialect.Storage](), reflect.TypeFor[dialect.CommandOnly](),
	reflect.TypeFor[dialect.CreateTopic](), reflect.TypeFor[dialect.AlterTopic](), reflect.TypeFor[dialect.DropTopic](),
	reflect.TypeFor[dialect.ClearTopic](), reflect.TypeFor[dialect.Consume](), reflect.TypeFor[dialect.Ack](),
	reflect.TypeFor[dialect.ResetGroup](), reflect.TypeFor[dialect.Grant](), reflect.TypeFor[dialect.AddSource](),
	reflect.TypeFor[dialect.DropSource](), reflect.TypeFor[dialect.SetRetention](),
	reflect.TypeFor[dialect.ShowCreateTable](), reflect.TypeFor[dialect.CreateAPIKey](), reflect.TypeFor[dialect.DropAPIKey](),
}
