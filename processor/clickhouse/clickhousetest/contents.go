package clickhousetest

import (
	"maps"
	"slices"

	"tributary/processor/clickhouse"
)

// AllClicks returns every click, in no particular order.
func (m *Model) AllClicks() []clickhouse.ClickRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.clicks))
}

// AllEvents returns every raw webhook, in no particular order.
func (m *Model) AllEvents() []clickhouse.EventRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.events))
}
