package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// The edge faces the internet and must not carry the database's driver; the processor holds the
// database and must not carry the edge's server. A flaw in either is then a flaw in one program.
func TestImports(t *testing.T) {
	for _, rule := range []struct{ program, never string }{
		{"tributary/ingest", "github.com/ClickHouse/"},
		{"tributary/processor", "github.com/valyala/fasthttp"},
		{"tributary/ingest", "tributary/deploy/"},
		{"tributary/processor", "tributary/deploy/"},
		{"tributary/ingest", "tributary/processor"},
		{"tributary/processor", "tributary/ingest"},
	} {
		command := exec.Command("go", "list", "-deps", rule.program)
		var trouble strings.Builder
		command.Stderr = &trouble
		list, err := command.Output()
		if err != nil {
			t.Fatalf("list imports of %s: %v\n%s", rule.program, err, &trouble)
		}
		for imported := range strings.Lines(string(list)) {
			if strings.HasPrefix(imported, rule.never) {
				t.Errorf("%s links %s", rule.program, strings.TrimSpace(imported))
			}
		}
	}
}
