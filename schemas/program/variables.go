package program

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// checkVariables refuses a variable whose name differs by one or two letters from that of a flag of
// the command, where neither the right variable nor the flag is given: an edge that is told of its
// TRIBUTARY_WORKSPACE would take clicks from everybody. Other variables that begin in the same way
// are left alone: programs share an environment, and Kubernetes adds names of services to it.
func checkVariables(command *kong.Context) error {
	known := make(map[string]bool)
	knownVariables(command.Model.Node, known)
	for _, assignment := range os.Environ() {
		name, value, _ := strings.Cut(assignment, "=")
		if upper := strings.ToUpper(name); value == "" || known[name] || !strings.HasPrefix(upper, prefix+"_") {
			continue
		}
		if meant := resembled(command, strings.ToUpper(name)); meant != "" {
			return fmt.Errorf("%s: there is no such variable (hint: %s? Otherwise unset it)", name, meant)
		}
	}
	return nil
}

// prefix begins the names of all variables.
const prefix = "TRIBUTARY"

func knownVariables(node *kong.Node, known map[string]bool) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			known[name] = true
		}
	}
	for _, child := range node.Children {
		knownVariables(child, known)
	}
}

// resembled returns the variable of one of the command's flags that a name was meant to be, or "".
func resembled(command *kong.Context, name string) string {
	for _, flag := range command.Flags() {
		if isGiven(command, flag) {
			continue
		}
		for _, variable := range flag.Envs {
			// Short names have neighbours that mean something else, such as TRIBUTARY_TO and _GEO.
			most := 1
			if len(variable) >= len(prefix)+8 {
				most = 2
			}
			if edits(name, variable) <= most {
				return variable
			}
		}
	}
	return ""
}

// isGiven reports whether a flag has a value from the command line or from one of its variables.
func isGiven(command *kong.Context, flag *kong.Flag) bool {
	if slices.ContainsFunc(flag.Envs, func(name string) bool { return os.Getenv(name) != "" }) {
		return true
	}
	return slices.ContainsFunc(command.Path, func(p *kong.Path) bool { return p.Flag == flag })
}

// edits returns how many letters must be added, removed, replaced or exchanged with the next one to
// make b of a (the restricted Damerau-Levenshtein distance).
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, replaced)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
