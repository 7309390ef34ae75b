// Package crash holds one test: the engine's process is killed before every file-system call that a processor's batch causes, one after
// the other; it must start again each time, and when the batch has been handled once more, every table holds what it holds where nothing
// happened.
//
//	go test ./processor/load/crash -v                              some dozens of the points
//	TRIBUTARY_CRASH_POINTS=all go test ./processor/load/crash -v -timeout 60m   every one of them
//
// A library that the test compiles (testdata/calls.c) stands between the engine and the C library. It needs a C compiler and Linux.
package crash
