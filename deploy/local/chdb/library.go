package chdb

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is the part of libchdb's C interface (chdb.h, version 26.7.3) that
// this package calls. Every pointer is owned by the engine unless a comment
// says otherwise.
type library struct {
	signals *signalKeeper

	setSignalHandlersEnabled func(enabled int32)
	// connect returns a chdb_connection *, or nil.
	connect   func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn func(connection unsafe.Pointer)

	queryWithParams func(connection, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	classify func(connection, query unsafe.Pointer, queryLen uintptr, database unsafe.Pointer, databaseLen uintptr,
		analysis unsafe.Pointer) int32

	destroyResult func(result unsafe.Pointer)
	resultBuffer  func(result unsafe.Pointer) unsafe.Pointer
	resultLength  func(result unsafe.Pointer) uintptr
	resultError   func(result unsafe.Pointer) unsafe.Pointer
	rowsRead      func(result unsafe.Pointer) uint64
	bytesRead     func(result unsafe.Pointer) uint64
	rowsWritten   func(result unsafe.Pointer) uint64
	bytesWritten  func(result unsafe.Pointer) uint64

	streamInsert func(connection, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	streamAppend  func(stream, data unsafe.Pointer, length uintptr) int32
	streamDone    func(stream unsafe.Pointer) unsafe.Pointer
	streamCancel  func(stream unsafe.Pointer)
	streamError   func(stream unsafe.Pointer) unsafe.Pointer
	destroyStream func(stream unsafe.Pointer)
}

// loadLibrary opens libchdb and turns its signal handlers off. A library, once
// loaded, stays for the life of the process.
func loadLibrary(path string) (*library, error) {
	keeper, err := newSignalKeeper()
	if err != nil {
		return nil, err
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := &library{signals: keeper}
	var missing error
	bind := func(function any, name string) {
		address, err := purego.Dlsym(handle, name)
		if err != nil {
			missing = errors.Join(missing, fmt.Errorf("find %s in %s: %w", name, path, err))
			return
		}
		purego.RegisterFunc(function, address)
	}
	bind(&l.setSignalHandlersEnabled, "chdb_set_signal_handlers_enabled")
	bind(&l.connect, "chdb_connect")
	bind(&l.closeConn, "chdb_close_conn")
	bind(&l.queryWithParams, "chdb_query_with_params_n")
	bind(&l.classify, "chdb_classify_query_n")
	bind(&l.destroyResult, "chdb_destroy_query_result")
	bind(&l.resultBuffer, "chdb_result_buffer")
	bind(&l.resultLength, "chdb_result_length")
	bind(&l.resultError, "chdb_result_error")
	bind(&l.rowsRead, "chdb_result_rows_read")
	bind(&l.bytesRead, "chdb_result_bytes_read")
	bind(&l.rowsWritten, "chdb_result_rows_written")
	bind(&l.bytesWritten, "chdb_result_bytes_written")
	bind(&l.streamInsert, "chdb_stream_insert_with_params_n")
	bind(&l.streamAppend, "chdb_stream_append")
	bind(&l.streamDone, "chdb_stream_done")
	bind(&l.streamCancel, "chdb_stream_cancel_insert")
	bind(&l.streamError, "chdb_stream_insert_error")
	bind(&l.destroyStream, "chdb_destroy_insert_stream")
	if missing != nil {
		return nil, missing
	}
	l.signals.around(func() { l.setSignalHandlersEnabled(0) })
	return l, nil
}

// open makes a connection. The arguments are those of clickhouse-local ("--path=…"); server-level
// ones count only for the first connection, which boots the engine. libchdb returns no reason when
// it refuses.
func (l *library) open(arguments ...string) (unsafe.Pointer, error) {
	arguments = append([]string{"clickhouse"}, arguments...)
	argv := make([]*byte, len(arguments)+1) // the last stays nil, as in main()
	for i, a := range arguments {
		text := append([]byte(a), 0)
		argv[i] = &text[0]
	}
	var connection unsafe.Pointer
	l.signals.around(func() {
		connection = l.connect(int32(len(arguments)), unsafe.Pointer(&argv[0]))
	})
	runtime.KeepAlive(argv)
	if connection == nil {
		return nil, errors.New("libchdb refused to connect: the data directory may be in use by another process, not " +
			"writable or damaged")
	}
	return connection, nil
}

// goString copies a NUL-terminated C string; nil is "".
func goString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// cArrays is a list of name-value pairs in the form libchdb takes: parallel
// arrays of pointers and lengths. It must stay alive during the call.
type cArrays struct {
	names, values         []*byte
	nameLens, valuesLens  []uintptr
	count                 uintptr
	pinnedNames, pinnedVs []string
}

func newCArrays(pairs map[string]string) *cArrays {
	a := &cArrays{count: uintptr(len(pairs))}
	for name, value := range pairs {
		a.names = append(a.names, stringPointer(name))
		a.nameLens = append(a.nameLens, uintptr(len(name)))
		a.values = append(a.values, stringPointer(value))
		a.valuesLens = append(a.valuesLens, uintptr(len(value)))
		a.pinnedNames = append(a.pinnedNames, name)
		a.pinnedVs = append(a.pinnedVs, value)
	}
	return a
}

// stringPointer points at the bytes of s. An empty string has a valid pointer too, since
// libchdb may refuse a nil one whatever the length.
func stringPointer(s string) *byte {
	if s == "" {
		return new(byte)
	}
	return unsafe.StringData(s)
}

func slicePointer[T any](s []T) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(s))
}
