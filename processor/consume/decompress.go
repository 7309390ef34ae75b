package consume

import (
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrFull ends a partition's share of a fetch before a batch of Kafka's that finds no room. kgo
// fetches the batch again.
var ErrFull = errors.New("enough records are waiting to be handled")

// Decompressor bounds what is fetched ahead in bytes as they are in memory: fetches are limited in
// compressed ones, and whoever may send clicks chooses how much their texts shrink (lz4: up to 255
// times). The first batch after a poll always finds room, so each poll goes on.
type Decompressor struct {
	kgo.Decompressor
	limit int64
	ahead atomic.Int64 // decompressed since the last poll
}

// NewDecompressor makes the Decompressor of one client, which lets it fetch so many bytes ahead.
func NewDecompressor(limit int) *Decompressor {
	return &Decompressor{Decompressor: kgo.DefaultDecompressor(), limit: int64(limit)}
}

// Decompress is kgo's Decompressor. Brokers are fetched from at the same time, so each may add one
// batch beyond the limit. Where a poll takes so many records only (Consumer.Gather is 0), the rest of
// a broker's fetch waits while there is room again for other brokers' fetches: then the limit is one
// for each broker.
func (d *Decompressor) Decompress(batch []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if d.ahead.Load() >= d.limit {
		return nil, ErrFull
	}
	records, err := d.Decompressor.Decompress(batch, codec)
	d.ahead.Add(int64(len(records)))
	return records, err
}

// Poll makes room, before a poll takes what was fetched ahead: kgo fetches more at once.
func (d *Decompressor) Poll() { d.ahead.Store(0) }
