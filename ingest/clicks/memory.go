package clicks

import (
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
)

// enoughMemory is how much memory, in bytes, the runtime may take before it collects garbage more
// often than after each doubling of what lives.
const enoughMemory = 56 << 20

// LimitMemory makes this process collect its garbage before it takes more than enoughMemory, for as
// long as it runs. By itself the runtime lets the heap grow to twice what lived at the last
// collection, and that may have come just when the connections and bodies of a crowd lived. An
// operator's GOMEMLIMIT bounds both.
func LimitMemory() { limitMemory(debug.SetMemoryLimit(-1)) }

// limitMemory sets the limit after each collection anew, so that the garbage may always be a quarter
// of what lives: with less, the runtime would do little else than collect. most is in bytes.
func limitMemory(most int64) {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}}
	runtimemetrics.Read(s)
	of := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	beside := of(1) - of(2) - of(3) - of(4) // stacks, gaps between objects, the runtime's own
	limit := min(most, max(enoughMemory, of(0)/4*5+beside))
	if debug.SetMemoryLimit(-1) != limit { // setting it stops the world for a moment
		debug.SetMemoryLimit(limit)
	}
	runtime.AddCleanup(new(*int), limitMemory, most) // which the next collection finds unreachable
}
