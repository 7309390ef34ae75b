package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A segment is frames, one after another: a mark, the entry's length, the CRC-32C of length and
// entry, the entry. Numbers are little-endian. The mark lets a reader find the next frame behind a
// damaged one.
const frameHeader = 12

// maxEntry is above every record that an edge hands over, and bounds what a damaged length can ask
// a reader to check.
const maxEntry = 2 << 20

var (
	mark       = []byte{0xd7, 'S', 'p', 0x01} // the last byte is the version of the format
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func appendFrame(b, entry []byte) []byte {
	b = append(b, mark...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entry)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b[len(b)-4:], entry))
	return append(b, entry...)
}

func checksum(length, entry []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, entry)
}

// frameAt returns the entry of the frame that begins b, and nil if no whole and sound frame does.
// torn reports whether b ends before the frame does, as an interrupted write leaves it.
func frameAt(b []byte) (entry []byte, torn bool) {
	if len(b) < frameHeader {
		return nil, bytes.HasPrefix(mark, b[:min(len(b), len(mark))]) || bytes.HasPrefix(b, mark)
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if !bytes.HasPrefix(b, mark) || n == 0 || n > maxEntry {
		return nil, false
	}
	rest := b[frameHeader:]
	if uint64(len(rest)) < uint64(n) {
		return nil, true
	}
	if checksum(b[4:8], rest[:n]) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, false
	}
	return rest[:n:n], false
}

// parse returns every sound entry of a segment. What stands between two of them is damage. What
// stands behind the last is an unfinished write if it begins like a frame and the file ends too
// early, or is zeros that a file system put where data never arrived; else it is damage too.
func parse(b []byte) (entries [][]byte, damaged, torn int) {
	for len(b) > 0 {
		entry, unfinished := frameAt(b)
		if entry != nil {
			entries = append(entries, entry)
			b = b[frameHeader+len(entry):]
			continue
		}
		skip := nextFrame(b)
		if skip == len(b) && (unfinished || len(bytes.Trim(b, "\x00")) == 0) {
			return entries, damaged, skip
		}
		damaged += skip
		b = b[skip:]
	}
	return entries, damaged, 0
}

// nextFrame returns how many bytes of b, which begins with damage, stand before the next sound
// frame.
func nextFrame(b []byte) int {
	for at := 1; ; at++ {
		i := bytes.Index(b[min(at, len(b)):], mark)
		if i < 0 {
			return len(b)
		}
		at += i
		if entry, _ := frameAt(b[at:]); entry != nil {
			return at
		}
	}
}
