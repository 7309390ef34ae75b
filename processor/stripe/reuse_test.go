package stripe

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"weak"

	"tributary/schemas"
)

// What an event says is the caller's alone: within a batch that was handled it would keep the whole
// batch in memory, until the reader's own memory is used again.
func TestReaderKeepsNoFacts(t *testing.T) {
	data, err := os.ReadFile("testdata/invoice.txt")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(data), "\n----\n")
	_, body := script(head)
	facts := new(Facts)
	if err := Default().ReadInto(&schemas.StripeEvent{Body: body}, facts); err != nil {
		t.Fatal(err)
	}
	if len(facts.Names) == 0 {
		t.Fatal("the event names nothing")
	}
	kept := weak.Make(facts)
	runtime.GC()
	if kept.Value() != nil {
		t.Error("the facts are still in memory")
	}
}
