package chdb

import "encoding/binary"

// The protocol revisions from which a Native block carries a block info in
// front and a serialization flag per column (ClickHouse's
// src/Core/ProtocolDefines.h).
const (
	revisionWithBlockInfo           = 51903
	revisionWithCustomSerialization = 54454
)

// helloBlock answers the query with which clickhouse-go opens a connection, as
// a Native block of the client's protocol revision.
//
// clickhouse-go decodes this one answer at its own revision, and every later
// one at the revision that this one reports. libchdb writes Native at revision
// 0 only, so revision() is reported as 0 and no other answer needs to be
// encoded anew.
func (i identity) helloBlock(clientRevision int) []byte {
	var b []byte
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if clientRevision >= revisionWithBlockInfo {
		b = binary.AppendUvarint(b, 1) // field 1: is_overflows
		b = append(b, 0)
		b = binary.AppendUvarint(b, 2) // field 2: bucket_num, none
		b = binary.LittleEndian.AppendUint32(b, ^uint32(0))
		b = binary.AppendUvarint(b, 0)
	}
	b = binary.AppendUvarint(b, 4) // columns
	b = binary.AppendUvarint(b, 1) // rows
	column := func(name, kind string) {
		text(name)
		text(kind)
		if clientRevision >= revisionWithCustomSerialization {
			b = append(b, 0)
		}
	}
	column("displayName()", "String")
	text(i.displayName)
	column("version()", "String")
	text(i.version)
	column("revision()", "UInt32")
	b = binary.LittleEndian.AppendUint32(b, 0)
	column("timezone()", "String")
	text(i.timezone)
	return b
}

// firstBlockRows reads how many rows the first block of a Native body at
// revision 0 announces; 0 when the bytes do not say.
func firstBlockRows(head []byte) uint64 {
	columns, n := binary.Uvarint(head)
	if n <= 0 || columns == 0 {
		return 0
	}
	rows, m := binary.Uvarint(head[n:])
	if m <= 0 {
		return 0
	}
	return rows
}
