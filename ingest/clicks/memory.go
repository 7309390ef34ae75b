package clicks

import (
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"

	"tributary/ingest/geo"
)

const (
	// enoughMemory is how much memory, in bytes, the runtime may take before it collects garbage more
	// often than after each doubling of what lives.
	enoughMemory = 56 << 20

	// crowdMemory is how much memory, in bytes, may be in use after a collection before connections
	// give way. Files of --geo, which may be larger than that, come on top.
	crowdMemory = 48 << 20

	// connMemory is how many bytes more may be in use for each connection that Config.MaxConns allows
	// beyond its default: what one takes that waits over TLS.
	connMemory = 36 << 10
)

// LimitMemory bounds the memory of this process for as long as it runs. After each collection that
// leaves more than crowdMemory in use, connections give way.
//
// With collect, the garbage is collected before the process takes more than enoughMemory. By itself
// the runtime lets the heap grow to twice what was in use at the last collection, and that may have
// come just when there were very many connections and bodies. An operator's GOMEMLIMIT bounds both.
func (s *Server) LimitMemory(collect bool) {
	limitMemory(memoryLimit{s: s, collect: collect, most: debug.SetMemoryLimit(-1)})
}

type memoryLimit struct {
	s       *Server
	collect bool
	most    int64 // bytes: GOMEMLIMIT
}

// limitMemory sets the limit after each collection anew, so that the garbage may always be a quarter
// of what lives: with less, the runtime would do little else than collect.
func limitMemory(m memoryLimit) {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}}
	runtimemetrics.Read(s)
	of := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	live, beside := of(0), of(1)-of(2)-of(3)-of(4) // stacks, gaps between objects, the runtime's own
	if limit := min(m.most, max(enoughMemory, live/4*5+beside)); m.collect && debug.SetMemoryLimit(-1) != limit {
		debug.SetMemoryLimit(limit) // which stops the world for a moment
	}
	if g, most := m.s.guard.Load(), m.s.cfg.MaxConns; g != nil && most > 0 {
		g.shrink(tooMuch(live, beside, geo.Memory(), most))
	}
	runtime.AddCleanup(new(*int), limitMemory, m) // which the next collection finds unreachable
}

// tooMuch returns which part of what connections take is too much, at most 1; none if it is not
// above 0. live, beside it, and files of what lives are in bytes, most is Config.MaxConns.
func tooMuch(live, beside, files int64, most int) float64 {
	enough := crowdMemory + files + int64(max(0, most-maxConns))*connMemory
	return min(1, float64(live+beside-enough)/float64(max(1, live-files)))
}
