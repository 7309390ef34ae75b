package consume

import (
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// errFull ends a partition's share of a fetch before a batch of Kafka's that finds no room. kgo
// fetches the batch again.
var errFull = errors.New("enough records are waiting to be handled")

// decompressor bounds what is fetched ahead in bytes as they are in memory: fetches are limited in
// compressed ones, and whoever may send clicks chooses how much their texts shrink (lz4: up to 255
// times). The first batch after a poll always finds room, so each poll goes on.
type decompressor struct {
	kgo.Decompressor
	limit int64
	ahead atomic.Int64 // decompressed since the last poll
}

func newDecompressor(limit int) *decompressor {
	return &decompressor{Decompressor: kgo.DefaultDecompressor(), limit: int64(limit)}
}

// Decompress is kgo's Decompressor. Brokers are fetched from at the same time, so each may add one
// batch beyond the limit. Where a poll takes so many records only (Consumer.Gather is 0), the rest of
// a broker's fetch waits while there is room again for other brokers' fetches: then the limit is one
// for each broker.
func (d *decompressor) Decompress(batch []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if d.ahead.Load() >= d.limit {
		return nil, errFull
	}
	records, err := d.Decompressor.Decompress(batch, codec)
	d.ahead.Add(int64(len(records)))
	return records, err
}

// polled makes room, before a poll takes what was fetched ahead: kgo fetches more at once.
func (d *decompressor) polled() { d.ahead.Store(0) }
