package loadtest

import (
	"maps"
	"slices"

	"tributary/processor/load"
)

// AllClicks gives every click, in no particular order.
func (m *Model) AllClicks() []load.ClickRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.clicks))
}

// AllEvents gives every raw webhook, in no particular order.
func (m *Model) AllEvents() []load.EventRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.events))
}
