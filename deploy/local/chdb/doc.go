// Package chdb runs the real ClickHouse engine inside this process and serves
// it over ClickHouse's own HTTP interface, so that clickhouse-go (protocol
// HTTP), curl and Grafana cannot distinguish it from a small server.
//
// The engine is libchdb (https://github.com/chdb-io/chdb), the same C++ code
// as the server of that version. It is loaded at run time, without cgo, and
// is never needed to build: a program that does not call [Open] does not need
// the library, and [Find] says in one sentence how to get it.
//
// It is meant for laptops and tests, not for production:
//
//   - libchdb's file writer swallows write errors (its fork of
//     WriteBufferFromFileDescriptor ignores ENOSPC and EIO), so a full disk
//     loses rows and reports success. The handler therefore refuses to write
//     when little disk space is left ([WithMinFreeBytes]), doubts what it
//     wrote when the space ran low meanwhile, and reads back what an INSERT
//     wrote before it answers. Merges and mutations are not read back.
//   - There is no Keeper, so no Replicated* tables, and no user management: [WithPasswords] gives
//     the program's user and a reader a password each.
//   - It reads and writes its tables and nothing else: no file, no URL, no other server, no
//     program. The engine's own grants see to most of this; refuseOutside sees to what they do not
//     cover. Requests of web pages are refused (package loopback). Listen on a loopback address.
//   - One process per data directory, and one engine per process.
//   - An answer is built in memory before its first byte is sent. That costs
//     memory for large results and buys a truthful HTTP status for every
//     error, as wait_end_of_query=1 does on a server.
package chdb
