package explain

import (
	"bytes"
	"testing"
)

// A name that anybody wrote moves no cursor, and looks like no line of ours.
func TestPrintedNames(t *testing.T) {
	var b bytes.Buffer
	p := &printer{w: &b}
	p.say("  %s", "ann\x1b[1Apaid")
	p.table([][]string{{"click", "spring\n  payment pi_1", "bob\tby hand"}})
	if got, want := b.String(), "  ann\\x1b[1Apaid\n  click  spring\\n  payment pi_1  bob\\tby hand\n"; got != want || p.err != nil {
		t.Errorf("printed %q, want %q, %v", got, want, p.err)
	}
}
