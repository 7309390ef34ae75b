package traffic

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// object is a Stripe object. It is written as Stripe writes them: id and object first, the rest by
// name, two spaces deep. A writer of its own, because encoding/json validates nested marshalers
// once per level: most of a World's time.
type object map[string]any

// number is a JSON number as it is to be written.
type number string

// pretty writes an object; one object is always the same bytes.
func pretty(o object) []byte { return appendValue(make([]byte, 0, 4096), o, 0) }

func appendValue(b []byte, v any, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case number:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case object:
		names := slices.SortedFunc(maps.Keys(v), byRank)
		return appendMany(b, '{', '}', names, depth, func(b []byte, name string) []byte {
			return appendValue(append(appendString(b, name), ": "...), v[name], depth+1)
		})
	case map[string]string:
		return appendMany(b, '{', '}', slices.Sorted(maps.Keys(v)), depth, func(b []byte, name string) []byte {
			return appendString(append(appendString(b, name), ": "...), v[name])
		})
	case []string:
		return appendMany(b, '[', ']', v, depth, appendString)
	case []object:
		return appendMany(b, '[', ']', v, depth, func(b []byte, o object) []byte { return appendValue(b, o, depth+1) })
	}
	// a mistake in objects.go; every test would find it
	panic(fmt.Sprintf("traffic: %T has no place in a Stripe object", v))
}

func appendMany[T any](b []byte, open, shut byte, items []T, depth int, one func([]byte, T) []byte) []byte {
	b = append(b, open)
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(newLine(b, depth+1), item)
	}
	if len(items) > 0 {
		b = newLine(b, depth)
	}
	return append(b, shut)
}

func newLine(b []byte, depth int) []byte {
	b = append(b, '\n')
	for range depth {
		b = append(b, "  "...)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string is always JSON
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

// byRank puts id and object first.
func byRank(a, b string) int {
	rank := func(name string) string {
		switch name {
		case "id":
			return "\x00"
		case "object":
			return "\x01"
		}
		return name
	}
	ra, rb := rank(a), rank(b)
	if ra < rb {
		return -1
	}
	return 1
}

// orNull writes an absent id as Stripe does.
func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

func orEmpty(metadata map[string]string) map[string]string {
	if metadata == nil {
		return map[string]string{}
	}
	return metadata
}

func list(url string, items ...object) object {
	return object{"object": "list", "data": items, "has_more": false, "total_count": len(items), "url": url}
}

func unix(t time.Time) int64 { return t.Unix() }
