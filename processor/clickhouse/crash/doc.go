// Package crash tries every file-system call that a processor's batch causes in the engine, one
// after the other. The engine's process is killed before it: it must start again, and when the
// batch has been handled once more, every table holds what it holds where nothing happened. Or the
// call fails, as on a disk that is full, broken or read-only: what is then acknowledged must be
// there, and stay there.
//
//	go test ./processor/clickhouse/crash -v                              some dozens of the calls
//	TRIBUTARY_CRASH_POINTS=all go test ./processor/clickhouse/crash -v -timeout 3h   every one of them
//
// A library that the test compiles (testdata/calls.c) stands between the engine and the C library.
// It needs a C compiler and Linux.
package crash
