package clickhouse

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

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

// insertNative writes rows as one block of one partition.
func insertNative[R any](ctx context.Context, s *Store, table string, columns []nativeColumn[R], rows []R) error {
	if !s.encodes {
		return insert(ctx, s, table, driverColumns(columns), rows)
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
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings))
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
