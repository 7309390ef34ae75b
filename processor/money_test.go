package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floats are names by which a binary fraction comes in.
var floats = []string{
	"float32", "float64", "ParseFloat", "Float64", "GetFloat64", "MustFloat64", "InexactFloat64", "NewFromFloat",
	"NewFromFloat32", "NewFromFloatWithExponent",
	"SetFloat64", "FormatFloat",
}

// measures may be floats: seconds, rates and counts, never money.
var measures = map[string][]string{
	"consume/metrics.go":       {"0.002"},   // seconds of a histogram
	"consume/lag.go":           {"float64"}, // gauges of records and of seconds
	"consume/lost.go":          {"float64"}, // a counter of records
	"clickhouse/native.go":     {"float64"}, // a counter of rows
	"consume/held.go":          {"float64"}, // gauges of counts
	"recompute/background.go":  {"float64"}, // a gauge of names
	"recompute/recompute.go":   {"float64"}, // a counter of names
	"fx/metrics.go":            {"float64"}, // a gauge of entries
	"recompute/sweep.go":       {"float64"}, // gauges of counts
	"clickhouse/insert.go":     {"float64"}, // a counter of rows
	"clickhouse/store.go":      {"0.001"},   // seconds of a histogram
	"../schemas/workspaces.go": {"float64"}, // events per second
	"../schemas/strictjson.go": {"Float64"}, // the same, as it stands in a file
}

// Money is an integer of minor units or an exact decimal, from Stripe's body to ClickHouse's
// column. This looks for a float anywhere on that way, in types, calls and literals.
func TestNoFloatOnTheWayOfMoney(t *testing.T) {
	seen := 0
	for _, dir := range []string{"stripe", "join", "ledger", "fx", "clickhouse", "consume", "recompute", "identity",
		"catalogue", "spend", "reconcile", "audit", "replay", "explain", "../schemas"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("%s: no such package", dir)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") || strings.Contains(path, ".pb.go") ||
				strings.Contains(path, "_vtproto") {
				continue
			}
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			for _, found := range findFloats(t, path, source) {
				if !slices.Contains(measures[filepath.ToSlash(path)], found.name) {
					t.Errorf("%s: %s", found.at, found.name)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d files were looked at", seen)
	}
	if found := findFloats(t, "x.go",
		[]byte("package x\nvar a = 1.5\nfunc f(x float64) { g(d.InexactFloat64()) }")); len(found) != 3 {
		t.Errorf("this test is blind: %v", found)
	}
}

type float struct {
	at   token.Position
	name string
}

func findFloats(t *testing.T, path string, source []byte) []float {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []float
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if slices.Contains(floats, n.Name) {
				found = append(found, float{set.Position(n.Pos()), n.Name})
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT || n.Kind == token.IMAG {
				found = append(found, float{set.Position(n.Pos()), n.Value})
			}
		}
		return true
	})
	return found
}
