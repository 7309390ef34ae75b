package fx

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// Money never passes through a binary fraction. The rule is easily broken by one convenient call,
// so this package's own source is read: no floating-point or complex type, no such literal, no
// method that leads there.
func TestNoFloatInSource(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	read := 0
	for _, entry := range entries {
		name := entry.Name()
		// metrics.go counts entries and rates for Prometheus; no amount and no rate comes there.
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "metrics.go" {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		read++
		for _, fault := range floats(file) {
			t.Errorf("%s: %s", files.Position(fault.Pos()), fault)
		}
	}
	if read < 5 {
		t.Errorf("only %d files were read", read)
	}
}

type fault struct {
	ast.Node
	what string
}

func (f fault) String() string { return f.what + " takes part in the computation of money" }

func floats(file *ast.File) []fault {
	var found []fault
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.Ident:
			lower := strings.ToLower(n.Name)
			if strings.Contains(lower, "float") || strings.HasPrefix(lower, "complex") {
				found = append(found, fault{n, n.Name})
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT || n.Kind == token.IMAG {
				found = append(found, fault{n, n.Value})
			}
		case *ast.ImportSpec:
			if n.Path.Value == `"math"` || n.Path.Value == `"math/cmplx"` {
				found = append(found, fault{n, n.Path.Value})
			}
		}
		return true
	})
	return found
}

// The reader above must see what it looks for.
func TestNoFloatInSourceSees(t *testing.T) {
	for _, text := range []string{
		"var x float64", "var x float32", "var x = 0.2", "var x = 1e6", "var x = y.InexactFloat64()",
		"var x = 2i", `import "math"`,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if len(floats(file)) == 0 {
			t.Errorf("%q passes", text)
		}
	}
}
