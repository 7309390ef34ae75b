package clickhouse

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// nativeColumn is a column that this package writes in ClickHouse's Native format by itself.
// Clicks, events, facts and edges are: there are so many that the driver's way, by reflection and
// with an allocation for most values, was a third of the processor's work for clicks.
type nativeColumn[R any] struct {
	column[R]
	typ    string                    // as it is sent; the server converts it to the table's, where that is another
	begin  func(*nativeEncoder)      // nil: nothing
	encode func(*nativeEncoder, []R) // adds rows
	end    func(*nativeEncoder)      // nil: nothing
}

func text[R any, V ~string | ~[]byte](name string, get func(*R) V) nativeColumn[R] {
	asText := col(name, func(r *R) string { return string(get(r)) })
	return nativeColumn[R]{column: asText, typ: "String", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			value := get(&rows[i])
			e.buf = append(binary.AppendUvarint(e.buf, uint64(len(value))), value...)
		}
	}}
}

// fixed is a FixedString of size bytes. Shorter values are filled up with zeros, as the driver
// does.
func fixed[R any](name string, size int, get func(*R) []byte) nativeColumn[R] {
	asText := col(name, func(r *R) string { return string(get(r)) })
	encode := func(e *nativeEncoder, rows []R) {
		for i := range rows {
			value := get(&rows[i])
			e.buf = append(e.buf, value[:min(len(value), size)]...)
			e.buf = append(e.buf, make([]byte, size-min(len(value), size))...)
		}
	}
	return nativeColumn[R]{column: asText, typ: "FixedString(" + strconv.Itoa(size) + ")", encode: encode}
}

// repeated is a LowCardinality(String): each value that occurs is sent once.
func repeated[R any](name string, get func(*R) string) nativeColumn[R] {
	encode := func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.key(get(&rows[i]))
		}
	}
	return nativeColumn[R]{col(name, get), "LowCardinality(String)", (*nativeEncoder).beginDictionary, encode,
		(*nativeEncoder).dictionary}
}

// milliseconds is a DateTime64(3, 'UTC'), given in Unix milliseconds.
func milliseconds[R any](name string, get func(*R) int64) nativeColumn[R] {
	asTime := col(name, func(r *R) time.Time { return time.UnixMilli(get(r)) })
	return nativeColumn[R]{column: asTime, typ: "DateTime64(3, 'UTC')", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.number(uint64(get(&rows[i])))
		}
	}}
}

// datetime64 is milliseconds of a time. The zero time is 0, as the driver has it.
func datetime64[R any](name string, get func(*R) time.Time) nativeColumn[R] {
	c := milliseconds(name, func(r *R) int64 {
		if t := get(r); !t.IsZero() {
			return t.UnixMilli()
		}
		return 0
	})
	c.column = col(name, get)
	return c
}

// datetime is a DateTime('UTC'), whole seconds. The zero time is 0, as the driver has it.
func datetime[R any](name string, get func(*R) time.Time) nativeColumn[R] {
	return nativeColumn[R]{column: col(name, get), typ: "DateTime('UTC')", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			seconds := uint32(0)
			if t := get(&rows[i]); !t.IsZero() {
				seconds = uint32(t.Unix())
			}
			e.buf = binary.LittleEndian.AppendUint32(e.buf, seconds)
		}
	}}
}

func flag[R any](name string, get func(*R) bool) nativeColumn[R] {
	return nativeColumn[R]{column: col(name, get), typ: "Bool", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			value := byte(0)
			if get(&rows[i]) {
				value = 1
			}
			e.buf = append(e.buf, value)
		}
	}}
}

func number[R any](name string, get func(*R) uint64) nativeColumn[R] {
	return nativeColumn[R]{column: col(name, get), typ: "UInt64", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.number(get(&rows[i]))
		}
	}}
}

// amount is an Int64.
func amount[R any](name string, get func(*R) int64) nativeColumn[R] {
	return nativeColumn[R]{column: col(name, get), typ: "Int64", encode: func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.number(uint64(get(&rows[i])))
		}
	}}
}

// several is a column of arrays, whose elements write encodes: first where the elements of each row
// end, then all elements.
func several[R, V any](name, typ string, get func(*R) []V, write func(*nativeEncoder, V)) nativeColumn[R] {
	encode := func(e *nativeEncoder, rows []R) {
		for i := range rows {
			values := get(&rows[i])
			e.count += uint64(len(values))
			e.number(e.count)
			e.buf, e.after = e.after, e.buf
			for _, v := range values {
				write(e, v)
			}
			e.buf, e.after = e.after, e.buf
		}
	}
	return nativeColumn[R]{col(name, get), "Array(" + typ + ")", nil, encode, (*nativeEncoder).elements}
}

// pairs is a Map(LowCardinality(String), String): where each row's pairs end, all keys, all values.
// They are sorted, like those of byKey.
func pairs[R any](name string, get func(*R) map[string]string) nativeColumn[R] {
	encode := func(e *nativeEncoder, rows []R) {
		var keys []string
		for i := range rows {
			m := get(&rows[i])
			keys = keys[:0]
			for k := range m { // an iterator of package maps would allocate, also for a click without any
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				e.key(k)
				value := m[k]
				e.after = append(binary.AppendUvarint(e.after, uint64(len(value))), value...)
			}
			e.count += uint64(len(keys))
			e.number(e.count)
		}
	}
	return nativeColumn[R]{byKey(name, get), "Map(LowCardinality(String), String)", (*nativeEncoder).beginDictionary,
		encode, func(e *nativeEncoder) {
			e.dictionary()
			e.elements()
		}}
}
