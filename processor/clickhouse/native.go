package clickhouse

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// nativeEncoder writes one column
// (https://clickhouse.com/docs/interfaces/specs/NativeFormat).
type nativeEncoder struct {
	buf   []byte
	index map[string]uint32 // of the values in words
	words []string
	keys  []uint32 // of each row, the index of its value
	after []byte   // elements of arrays, or values of maps, which follow everything else
	count uint64   // of the elements of arrays and maps so far
}

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
	e.index = make(map[string]uint32)
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

// elements writes what stands behind everything else.
func (e *nativeEncoder) elements() { e.buf = append(e.buf, e.after...) }

// encodedTogether is how many rows are encoded in all columns before the next ones are. They are in
// the processor's cache then when the second column reads them. Whole columns one after the other
// read each row from memory some forty times.
const encodedTogether = 512

// encodeNative returns one block of rows: how large it is, and its columns.
func encodeNative[R any](columns []nativeColumn[R], rows []R) net.Buffers {
	encoders := make([]nativeEncoder, len(columns))
	for i, c := range columns {
		e := &encoders[i]
		e.text(c.name)
		e.text(c.typ)
		if c.begin != nil {
			c.begin(e)
		}
	}
	encoded := 0
	for part := range slices.Chunk(rows, encodedTogether) {
		for i, c := range columns {
			c.encode(&encoders[i], part)
		}
		if encoded == 0 { // the other rows are likely to take as much
			for i := range encoders {
				encoders[i].grow(len(rows)-len(part), len(part))
			}
		}
		encoded += len(part)
	}
	size := binary.AppendUvarint(nil, uint64(len(columns)))
	block := net.Buffers{binary.AppendUvarint(size, uint64(len(rows)))}
	for i, c := range columns {
		e := &encoders[i]
		if c.end != nil {
			c.end(e)
		}
		block = append(block, e.buf)
	}
	return block
}

// grow makes room for so many more rows, as large as those that are encoded and a twentieth larger.
func (e *nativeEncoder) grow(more, encoded int) {
	room := func(n int) int { return n * more / encoded * 21 / 20 }
	e.buf = slices.Grow(e.buf, room(len(e.buf)))
	e.keys = slices.Grow(e.keys, room(len(e.keys)))
	e.after = slices.Grow(e.after, room(len(e.after)))
}

// insertNative writes rows as one block of one partition.
func insertNative[R any](ctx context.Context, s *Store, table string, columns []nativeColumn[R], rows []R) error {
	if !s.encodes {
		return insert(ctx, s, table, driverColumns(columns), rows)
	}
	if len(rows) == 0 {
		return nil
	}
	statement := insertStatement(table, driverColumns(columns))
	block := encodeNative(columns, rows)
	err := s.retry(ctx, table, "insert", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		body := slices.Clone(block) // reading consumes it
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings))
		return s.conn.InsertFormat(ctx, "Native", statement, &body)
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
