package publish

import (
	"bytes"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lz4Frames compresses batches as kgo's own compressor does, apart from two things. Its blocks are
// of 64 KiB, as those of Kafka's own client, and not of 4 MiB: each of several writers holds a
// block, and the garbage collector allows as much again for each. And its frames carry no checksum:
// Kafka's batches have one (https://kafka.apache.org/documentation/#recordbatch).
type lz4Frames struct{ writers sync.Pool }

func newLZ4Frames() *lz4Frames {
	return &lz4Frames{writers: sync.Pool{New: func() any {
		w := lz4.NewWriter(nil)
		_ = w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)) // fails for unknown sizes only
		return w
	}}}
}

// Compress is kgo's Compressor. It compresses src into dst's memory.
func (f *lz4Frames) Compress(dst *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	w := f.writers.Get().(*lz4.Writer)
	defer f.writers.Put(w)
	w.Reset(dst)
	if _, err := w.Write(src); err != nil {
		return nil, kgo.CodecError
	}
	if err := w.Close(); err != nil {
		return nil, kgo.CodecError
	}
	return dst.Bytes(), kgo.CodecLz4
}
