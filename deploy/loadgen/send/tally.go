package send

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
)

// manyReasons bounds the table of reasons: texts that quote their input must not fill the memory.
const manyReasons = 40

// Tally counts what became of the things sent. It is safe for concurrent use.
type Tally struct {
	mu       sync.Mutex
	accepted int
	reasons  map[string]int
}

// Accept counts n things as stored.
func (t *Tally) Accept(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted += n
}

// Refuse counts n things as not stored, and why.
func (t *Tally) Refuse(why error, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reasons == nil {
		t.reasons = map[string]int{}
	}
	reason := why.Error()
	if _, known := t.reasons[reason]; !known && len(t.reasons) >= manyReasons {
		reason = "other reasons"
	}
	t.reasons[reason] += n
}

// Count accepts or refuses one thing.
func (t *Tally) Count(err error) {
	if err != nil {
		t.Refuse(err, 1)
		return
	}
	t.Accept(1)
}

// Numbers are how many were sent, and what became of them.
func (t *Tally) Numbers() (sent, accepted, refused int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.reasons {
		refused += n
	}
	return t.accepted + refused, t.accepted, refused
}

// Table writes the numbers and the reasons, the most frequent first.
func (t *Tally) Table(to io.Writer, what string) {
	sent, accepted, refused := t.Numbers()
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tsent\taccepted\trefused\t\n", what)
	fmt.Fprintf(w, "\t%d\t%d\t%d\t\n", sent, accepted, refused)
	_ = w.Flush()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, reason := range slices.SortedFunc(maps.Keys(t.reasons),
		func(a, b string) int { return t.reasons[b] - t.reasons[a] }) {
		fmt.Fprintf(to, "%9d × %s\n", t.reasons[reason], reason)
	}
}
