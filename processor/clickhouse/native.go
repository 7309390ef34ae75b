package clickhouse

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// nativeColumn is a column that this package writes in ClickHouse's Native format by itself. Clicks,
// events, facts and edges are: there are so many that the driver's way, by reflection and with an
// allocation for most values, was a third of the processor's work for clicks.
type nativeColumn[R any] struct {
	column[R]
	typ    string // as it is sent; the server converts it to the table's, where that is another
	encode func(*nativeEncoder, []R)
}

func text[R any, V ~string | ~[]byte](name string, get func(*R) V) nativeColumn[R] {
	asText := col(name, func(r *R) string { return string(get(r)) })
	return nativeColumn[R]{asText, "String", func(e *nativeEncoder, rows []R) {
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
	return nativeColumn[R]{asText, "FixedString(" + strconv.Itoa(size) + ")", func(e *nativeEncoder, rows []R) {
		for i := range rows {
			value := get(&rows[i])
			e.buf = append(e.buf, value[:min(len(value), size)]...)
			e.buf = append(e.buf, make([]byte, size-min(len(value), size))...)
		}
	}}
}

// repeated is a LowCardinality(String): each value that occurs is sent once.
func repeated[R any](name string, get func(*R) string) nativeColumn[R] {
	return nativeColumn[R]{col(name, get), "LowCardinality(String)", func(e *nativeEncoder, rows []R) {
		e.beginDictionary()
		for i := range rows {
			e.key(get(&rows[i]))
		}
		e.dictionary()
	}}
}

// milliseconds is a DateTime64(3, 'UTC'), given in Unix milliseconds.
func milliseconds[R any](name string, get func(*R) int64) nativeColumn[R] {
	asTime := col(name, func(r *R) time.Time { return time.UnixMilli(get(r)) })
	return nativeColumn[R]{asTime, "DateTime64(3, 'UTC')", func(e *nativeEncoder, rows []R) {
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
	return nativeColumn[R]{col(name, get), "DateTime('UTC')", func(e *nativeEncoder, rows []R) {
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
	return nativeColumn[R]{col(name, get), "Bool", func(e *nativeEncoder, rows []R) {
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
	return nativeColumn[R]{col(name, get), "UInt64", func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.number(get(&rows[i]))
		}
	}}
}

// amount is an Int64.
func amount[R any](name string, get func(*R) int64) nativeColumn[R] {
	return nativeColumn[R]{col(name, get), "Int64", func(e *nativeEncoder, rows []R) {
		for i := range rows {
			e.number(uint64(get(&rows[i])))
		}
	}}
}

// several is a column of arrays, whose elements write encodes: first where the elements of each row
// end, then all elements.
func several[R, V any](name, typ string, get func(*R) []V, write func(*nativeEncoder, V)) nativeColumn[R] {
	return nativeColumn[R]{col(name, get), "Array(" + typ + ")", func(e *nativeEncoder, rows []R) {
		end := 0
		for i := range rows {
			end += len(get(&rows[i]))
			e.number(uint64(end))
		}
		for i := range rows {
			for _, v := range get(&rows[i]) {
				write(e, v)
			}
		}
	}}
}

// pairs is a Map(LowCardinality(String), String): where each row's pairs end, all keys, all values.
// They are sorted, like those of byKey.
func pairs[R any](name string, get func(*R) map[string]string) nativeColumn[R] {
	return nativeColumn[R]{byKey(name, get), "Map(LowCardinality(String), String)", func(e *nativeEncoder, rows []R) {
		e.beginDictionary()
		var keys, values []string
		for i := range rows {
			m := get(&rows[i])
			keys = keys[:0]
			for k := range m { // an iterator of package maps would allocate, also for a click without any
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				e.key(k)
				values = append(values, m[k])
			}
			e.number(uint64(len(values)))
		}
		e.dictionary()
		for _, v := range values {
			e.text(v)
		}
	}}
}

// nativeEncoder writes one column at a time
// (https://clickhouse.com/docs/interfaces/specs/NativeFormat).
type nativeEncoder struct {
	buf   []byte
	index map[string]uint32 // of the values in words
	words []string
	keys  []uint32 // of each row, the index of its value
}

var nativeEncoders = sync.Pool{New: func() any { return &nativeEncoder{index: make(map[string]uint32)} }}

func (e *nativeEncoder) number(n uint64) { e.buf = binary.LittleEndian.AppendUint64(e.buf, n) }

func (e *nativeEncoder) text(s string) {
	e.buf = append(binary.AppendUvarint(e.buf, uint64(len(s))), s...)
}

// Constants of LowCardinality's serialization (SerializationLowCardinality.cpp).
const (
	sharedDictionaries = 1
	additionalKeys     = 1 << 9  // the values come with the keys
	updateDictionary   = 1 << 10 // and replace those of the block before
)

// beginDictionary writes what stands before a column of LowCardinality, or before a map of one.
func (e *nativeEncoder) beginDictionary() {
	clear(e.index)
	e.words, e.keys = e.words[:0], e.keys[:0]
	e.number(sharedDictionaries)
}

// key adds a value. Values often repeat the one before, which is cheaper to see than to look up.
func (e *nativeEncoder) key(value string) {
	if n := len(e.keys); n > 0 && e.words[e.keys[n-1]] == value {
		e.keys = append(e.keys, e.keys[n-1])
		return
	}
	i, known := e.index[value]
	if !known {
		i = uint32(len(e.words))
		e.words, e.index[value] = append(e.words, value), i
	}
	e.keys = append(e.keys, i)
}

// dictionary writes the values that were added, and which of them each row has, in the smallest
// integers that can say so.
func (e *nativeEncoder) dictionary() {
	if len(e.keys) == 0 {
		return
	}
	width := 0 // its binary logarithm
	switch {
	case len(e.words) > 1<<16:
		width = 2
	case len(e.words) > 1<<8:
		width = 1
	}
	e.number(uint64(additionalKeys | updateDictionary | width))
	e.number(uint64(len(e.words)))
	for _, w := range e.words {
		e.text(w)
	}
	e.number(uint64(len(e.keys)))
	for _, k := range e.keys {
		switch width {
		case 0:
			e.buf = append(e.buf, byte(k))
		case 1:
			e.buf = binary.LittleEndian.AppendUint16(e.buf, uint16(k))
		case 2:
			e.buf = binary.LittleEndian.AppendUint32(e.buf, k)
		}
	}
}

// nativeBlock is one block of rows as a request's body. It holds one encoded column at a time.
type nativeBlock[R any] struct {
	columns []nativeColumn[R]
	rows    []R
	mu      sync.Mutex     // guards what follows
	encoder *nativeEncoder // nil: finished
	next    int            // column
	unread  []byte
}

// newNativeBlock returns a block of the rows, which the caller must finish.
func newNativeBlock[R any](columns []nativeColumn[R], rows []R) *nativeBlock[R] {
	e := nativeEncoders.Get().(*nativeEncoder)
	e.buf = binary.AppendUvarint(e.buf[:0], uint64(len(columns)))
	e.buf = binary.AppendUvarint(e.buf, uint64(len(rows)))
	return &nativeBlock[R]{columns: columns, rows: rows, encoder: e, unread: e.buf}
}

// finish gives the encoder back. An HTTP client may go on reading the body of a request that has
// failed; it finds nothing more, so that the rows may be used for something else.
func (b *nativeBlock[R]) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	nativeEncoders.Put(b.encoder)
	b.encoder, b.unread = nil, nil
}

// Read is io.Reader's.
func (b *nativeBlock[R]) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.encoder == nil {
		return 0, io.ErrClosedPipe
	}
	if len(b.unread) == 0 {
		if b.next == len(b.columns) {
			return 0, io.EOF
		}
		c := b.columns[b.next]
		b.next++
		b.encoder.buf = b.encoder.buf[:0]
		b.encoder.text(c.name)
		b.encoder.text(c.typ)
		c.encode(b.encoder, b.rows)
		b.unread = b.encoder.buf
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	return n, nil
}

// clickSettings leave it to merges to drop a row that is twice in one block. With
// optimize_on_insert the engine copies all columns of each block row by row to look for such rows,
// a third of what inserting clicks costs. Until then FINAL drops them: it assumes that a part has
// no repetitions only if a merge has made the part.
var clickSettings = func() clickhouse.Settings {
	settings := maps.Clone(insertSettings)
	settings["optimize_on_insert"] = 0
	return settings
}()

// insertNative writes rows as one block of one partition.
func insertNative[R any](ctx context.Context, s *Store, settings clickhouse.Settings, table string,
	columns []nativeColumn[R], rows []R,
) error {
	if !s.encodes {
		return insertWith(ctx, s, settings, table, driverColumns(columns), rows)
	}
	if len(rows) == 0 {
		return nil
	}
	statement := insertStatement(table, driverColumns(columns))
	err := s.retry(ctx, table, "insert", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		body := newNativeBlock(columns, rows)
		defer body.finish()
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings))
		return s.conn.InsertFormat(ctx, "Native", statement, body)
	})
	if err == nil {
		s.metrics.rows.WithLabelValues(table).Add(float64(len(rows)))
	}
	return err
}

func driverColumns[R any](columns []nativeColumn[R]) []column[R] {
	list := make([]column[R], len(columns))
	for i, c := range columns {
		list[i] = c.column
	}
	return list
}
