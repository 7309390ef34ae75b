package clickhousetest

import (
	"maps"
	"slices"
)

// name is an object or another name of a workspace.
type name struct{ workspace, value string }

// table holds rows by their keys, and by the names that they are looked up by. A row stays where it
// was added first.
type table[K comparable, R any] struct {
	pages  [][]R
	byKey  map[K]int
	byName map[name][]int
}

const rowsInPage = 64

func newTable[K comparable, R any]() table[K, R] {
	return table[K, R]{byKey: make(map[K]int), byName: make(map[name][]int)}
}

// row returns the row of a key, to be read or replaced; nil if there is none.
func (t *table[K, R]) row(key K) *R {
	if place, ok := t.byKey[key]; ok {
		return t.at(place)
	}
	return nil
}

func (t *table[K, R]) at(place int) *R { return &t.pages[place/rowsInPage][place%rowsInPage] }

// add adds the row of a new key.
func (t *table[K, R]) add(key K, n name, row R) {
	place := len(t.byKey)
	if place%rowsInPage == 0 {
		t.pages = append(t.pages, make([]R, rowsInPage))
	}
	*t.at(place) = row
	t.byKey[key] = place
	t.byName[n] = append(t.byName[n], place)
}

// clone returns a copy that later changes of either do not change in the other.
func (t *table[K, R]) clone() table[K, R] {
	byName := make(map[name][]int, len(t.byName))
	for n, places := range t.byName {
		byName[n] = slices.Clip(places) // the next append to either copies it
	}
	pages := make([][]R, len(t.pages))
	for i, page := range t.pages {
		pages[i] = slices.Clone(page)
	}
	return table[K, R]{pages: pages, byKey: maps.Clone(t.byKey), byName: byName}
}

// content returns the rows by their keys, in whatever order they were added.
func (t *table[K, R]) content() map[K]R {
	all := make(map[K]R, len(t.byKey))
	for key, place := range t.byKey {
		all[key] = *t.at(place)
	}
	return all
}
