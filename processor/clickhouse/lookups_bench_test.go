package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/identity"
	"tributary/sql/sqltest"
)

// BenchmarkEdgeLookups measures the CPU, the engine's and the driver's, of the lookups that a batch
// of 2,000 events makes in identities, after twelve such batches were stored.
func BenchmarkEdgeLookups(b *testing.B) {
	dsn, _ := sqltest.Open(b)
	store, err := Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	edgesOf := func(batch int) (edges []identity.Edge) {
		at := time.Date(2026, 3, 2, 10, 0, batch, 0, time.UTC)
		for i := range 2000 {
			n := fmt.Sprintf("%08x%d", uint32(batch*2000+i)*2654435761, i)
			intent, charge := identity.New(identity.Object, "pi_3"+n), identity.New(identity.Object, "ch_3"+n)
			customer, external := identity.New(identity.Customer, "cus_"+n), identity.New(identity.External, "user_"+n)
			edges = append(edges, identity.Edge{A: charge, B: intent, Source: "charge.payment_intent", At: at},
				identity.Edge{A: intent, B: customer, Source: "payment_intent.customer", At: at},
				identity.Edge{A: customer, B: external, Source: "customer.metadata.user", At: at},
				identity.Edge{A: external, B: identity.New(identity.Click, n), Source: "click", At: at})
		}
		return edges
	}
	for batch := range 12 {
		var rows, marks []EdgeRow
		for _, e := range edgesOf(batch) {
			rows = append(rows, EdgeRow{Workspace: "default", Edge: e})
			if e.A.Type() == identity.Customer {
				e.Carried = true
				marks = append(marks, EdgeRow{Workspace: "default", Edge: e, OneWay: true})
			}
		}
		if err := store.InsertEdges(ctx, rows); err != nil {
			b.Fatal(err)
		}
		if err := store.InsertEdges(ctx, marks); err != nil {
			b.Fatal(err)
		}
	}
	var objects, names []identity.Node
	var shared []identity.Edge
	for _, batch := range []int{11, 12} { // the first of them is stored
		for _, e := range edgesOf(batch) {
			if e.A.Standalone() {
				objects = append(objects, e.A)
			} else {
				names, shared = append(names, e.A), append(shared, e)
			}
		}
	}
	const from, to = 2000, 6000 // of each batch half
	objects, names, shared = objects[from:to], names[from:to], shared[from:to]
	for _, l := range []struct {
		name   string
		lookUp func() error
	}{
		{"carried", func() error { _, err := store.Carried(ctx, "default", shared); return err }},
		{"objects", func() error { _, err := store.Names(ctx, "default", objects); return err }},
		{"names", func() error { _, err := store.Names(ctx, "default", names); return err }},
		{"neighbours", func() error { _, err := store.Neighbours(ctx, "default", names); return err }},
	} {
		b.Run(l.name, func(b *testing.B) {
			before := processCPU(b)
			for b.Loop() {
				if err := l.lookUp(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processCPU(b)-before).Microseconds())/1000/float64(b.N), "CPU-ms/op")
		})
	}
}

// processCPU returns the CPU time that this process has used, the engine's in it.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
