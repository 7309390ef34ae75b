package chdb

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"
)

// connection is one session with the engine: a current database, settings, and
// one statement at a time. It is not safe for concurrent use.
type connection struct {
	lib    *library
	handle unsafe.Pointer // chdb_connection *
	// tag is the connection's log_comment setting, by which another
	// connection finds in system.processes what runs on this one.
	tag      string
	database string
	settings settings
	// changesSeen is Engine.databasesChanged when the database was entered.
	changesSeen uint64
	readOnly    bool
	// spoiled is set when the session's state is no longer known, and makes
	// the pool close the connection instead of lending it again.
	spoiled bool
	// failed is set when a statement ended with an error.
	failed bool
}

// session is the chdb_connection that most functions take.
func (c *connection) session() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

func (c *connection) close() {
	c.lib.closeConn(c.handle)
	c.handle = nil
}

// result is the answer to a statement. data lies in the engine's memory and
// is valid until free.
type result struct {
	lib    *library
	handle unsafe.Pointer
	data   []byte
	counts counts
}

// counts says how much a statement read and wrote, in rows and in
// uncompressed bytes, as the engine counted.
type counts struct {
	rowsRead, bytesRead, rowsWritten, bytesWritten uint64
}

func (r *result) free() {
	if r.handle != nil {
		r.lib.destroyResult(r.handle)
		r.handle, r.data = nil, nil
	}
}

// take wraps a chdb_result, or turns it into the error it carries.
func (c *connection) take(handle unsafe.Pointer) (*result, error) {
	if handle == nil {
		c.spoiled = true
		return nil, &Exception{Code: codeUnknownException, Message: "libchdb returned no result"}
	}
	if text := goString(c.lib.resultError(handle)); text != "" {
		c.lib.destroyResult(handle)
		c.failed = true
		return nil, parseException(text)
	}
	r := &result{lib: c.lib, handle: handle, counts: counts{
		rowsRead:     c.lib.rowsRead(handle),
		bytesRead:    c.lib.bytesRead(handle),
		rowsWritten:  c.lib.rowsWritten(handle),
		bytesWritten: c.lib.bytesWritten(handle),
	}}
	if n := c.lib.resultLength(handle); n > 0 {
		r.data = unsafe.Slice((*byte)(c.lib.resultBuffer(handle)), n)
	}
	return r, nil
}

// query runs one statement. format is the output format used when the
// statement names none. The caller frees the result.
func (c *connection) query(query, format string, params map[string]string) (*result, error) {
	arrays := newCArrays(params)
	handle := c.lib.queryWithParams(c.session(),
		unsafe.Pointer(stringPointer(query)), uintptr(len(query)),
		unsafe.Pointer(stringPointer(format)), uintptr(len(format)),
		slicePointer(arrays.names), slicePointer(arrays.nameLens),
		slicePointer(arrays.values), slicePointer(arrays.valuesLens), arrays.count)
	runtime.KeepAlive(query)
	runtime.KeepAlive(format)
	runtime.KeepAlive(arrays)
	return c.take(handle)
}

// exec runs a statement for its effect.
func (c *connection) exec(query string) error {
	r, err := c.query(query, "TabSeparated", nil)
	if err != nil {
		return err
	}
	r.free()
	return nil
}

// insert runs an INSERT whose rows come from data, in the given input format.
// query ends before FORMAT or VALUES. When reading data fails nothing more is
// sent and the insert is cancelled; blocks the engine already wrote stay, as
// on a server.
func (c *connection) insert(query, format string, params map[string]string, data io.Reader) (counts, error) {
	arrays := newCArrays(params)
	stream := c.lib.streamInsert(c.session(),
		unsafe.Pointer(stringPointer(query)), uintptr(len(query)),
		unsafe.Pointer(stringPointer(format)), uintptr(len(format)),
		slicePointer(arrays.names), slicePointer(arrays.nameLens),
		slicePointer(arrays.values), slicePointer(arrays.valuesLens), arrays.count)
	runtime.KeepAlive(query)
	runtime.KeepAlive(format)
	runtime.KeepAlive(arrays)
	if stream == nil {
		c.spoiled = true
		return counts{}, &Exception{Code: codeUnknownException, Message: "libchdb returned no insert stream"}
	}
	defer c.lib.destroyStream(stream)
	if text := goString(c.lib.streamError(stream)); text != "" {
		c.failed = true
		return counts{}, parseException(text)
	}
	if err := c.appendAll(stream, data); err != nil {
		c.lib.streamCancel(stream)
		// A cancelled stream leaves the session in a state libchdb does not
		// describe; a fresh connection costs a few milliseconds.
		c.spoiled = true
		return counts{}, err
	}
	r, err := c.take(c.lib.streamDone(stream))
	if err != nil {
		c.spoiled = true
		return counts{}, err
	}
	defer r.free()
	if text := goString(c.lib.streamError(stream)); text != "" {
		c.spoiled = true
		return counts{}, parseException(text)
	}
	return r.counts, nil
}

// insertChunk is how much is handed to the engine at a time, in bytes.
const insertChunk = 1 << 20

var insertBuffers = sync.Pool{New: func() any { return new([insertChunk]byte) }}

// readError marks a failure to read the request's body, as opposed to one of
// the engine.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

func (c *connection) appendAll(stream unsafe.Pointer, data io.Reader) error {
	pooled := insertBuffers.Get().(*[insertChunk]byte)
	defer insertBuffers.Put(pooled) // libchdb copies what it is given
	buffer := pooled[:]
	for {
		n, readErr := fill(data, buffer)
		if n > 0 && c.lib.streamAppend(stream, unsafe.Pointer(&buffer[0]), uintptr(n)) != 0 {
			if text := goString(c.lib.streamError(stream)); text != "" {
				return parseException(text)
			}
			// The engine's worker ended, but its reason is only in the final
			// result.
			r, err := c.take(c.lib.streamDone(stream))
			if err != nil {
				return err
			}
			r.free()
			return &Exception{Code: codeUnknownException, Message: "libchdb refused insert data without saying why"}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readError{fmt.Errorf("read insert data: %w", readErr)}
		}
	}
}

// fill reads until buffer is full or the reader ends. Unlike io.ReadFull it
// keeps apart the end of the data (io.EOF) and data cut short
// (io.ErrUnexpectedEOF), of which only the first may be committed.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var got int
		got, err = r.Read(buffer[n:])
		n += got
	}
	return n, err
}

// analysis is what the engine's own parser says about a text, without running
// it.
type analysis struct {
	statements uint32
	class      uint32
}

// writes reports whether the statement may change what is stored.
func (a analysis) writes() bool { return a.class == classMutating || a.class == classMutatingGlobal }

// The classes of chdb_query_class in chdb.h.
const (
	classReadOnly uint32 = iota
	classMutating
	classMutatingGlobal
	classControl
	classUnknown
)

func (c *connection) classify(query string) analysis {
	out := new([4]uint32) // struct_size, statement_count, flags, query_class
	out[0] = uint32(unsafe.Sizeof(*out))
	state := c.lib.classify(c.session(), unsafe.Pointer(stringPointer(query)), uintptr(len(query)), nil, 0,
		unsafe.Pointer(out))
	runtime.KeepAlive(query)
	if state != 0 {
		return analysis{class: classUnknown}
	}
	return analysis{statements: out[1], class: out[3]}
}
