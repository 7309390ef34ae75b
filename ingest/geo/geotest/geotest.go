// Package geotest writes small MaxMind DB files for tests
// (https://maxmind.github.io/MaxMind-DB/, version 2.0).
package geotest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Map is a record, or a part of one. Its values are string, uint32, Map and List.
type Map map[string]any

// List is an array in a record.
type List []any

// tree is the binary search tree: a node has a child for each bit. A child is another node, a
// record (negative, -1 is the first), or 0: nothing is known there.
type tree [][2]int

// File returns a file of a type with a record for each network.
func File(databaseType string, networks map[string]Map) []byte {
	nodes := tree{{}}
	var data []byte
	var offsets []int // of the records in data
	for _, text := range slices.Sorted(maps.Keys(networks)) {
		offsets = append(offsets, len(data))
		data = appendValue(data, networks[text])
		nodes.add(netip.MustParsePrefix(text), -len(offsets))
	}
	var file []byte
	for _, node := range nodes {
		for _, child := range node {
			switch {
			case child == 0:
				child = len(nodes) // not found
			case child < 0:
				child = len(nodes) + 16 + offsets[-child-1]
			}
			file = binary.BigEndian.AppendUint32(file, uint32(child)) // 32 bits a child
		}
	}
	file = append(file, make([]byte, 16)...) // between the tree and the data
	file = append(file, data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(file, Map{
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint32(1),
		"database_type": databaseType, "description": Map{"en": "made by a test"}, "ip_version": uint32(6),
		"languages": List{"en"}, "node_count": uint32(len(nodes)), "record_size": uint32(32),
	})
}

// add leads a network to a record. IPv4 lies at ::/96.
func (t *tree) add(network netip.Prefix, record int) {
	address, bits := network.Addr().As16(), network.Bits()
	if network.Addr().Is4() {
		address, bits = [16]byte{12: 0}, bits+96
		v4 := network.Addr().As4()
		copy(address[12:], v4[:])
	}
	node := 0
	for i := range bits {
		bit := address[i/8] >> (7 - i%8) & 1
		if i == bits-1 {
			(*t)[node][bit] = record
			return
		}
		if (*t)[node][bit] == 0 {
			*t = append(*t, [2]int{})
			(*t)[node][bit] = len(*t) - 1
		}
		node = (*t)[node][bit]
	}
}

// The types of fields.
const (
	typeString = 2
	typeUint32 = 6
	typeMap    = 7
	typeArray  = 11
)

func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(appendControl(b, typeString, len(v)), v...)
	case uint32:
		return binary.BigEndian.AppendUint32(appendControl(b, typeUint32, 4), v)
	case Map:
		b = appendControl(b, typeMap, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendValue(b, key), v[key])
		}
		return b
	case List:
		b = appendControl(b, typeArray, len(v))
		for _, element := range v {
			b = appendValue(b, element)
		}
		return b
	default:
		panic(fmt.Sprintf("geotest: a record cannot hold %T", value))
	}
}

// appendControl writes the control byte of a field, which holds its type and its size below 285.
func appendControl(b []byte, kind, size int) []byte {
	control, extended := byte(kind)<<5, byte(0)
	if kind > 7 {
		control, extended = 0, byte(kind-7)
	}
	if size < 29 {
		b = append(b, control|byte(size))
	} else {
		b = append(b, control|29)
	}
	if extended != 0 {
		b = append(b, extended)
	}
	if size >= 29 {
		b = append(b, byte(size-29))
	}
	return b
}
