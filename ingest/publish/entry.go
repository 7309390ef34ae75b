package publish

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An entry of the spool is a record as it would stand in Kafka: a byte with the length of the
// topic's name, the name, and Kafka's own encoding of a record
// (https://kafka.apache.org/documentation/#record), whose timestamp delta is the whole timestamp in
// Unix milliseconds. Its length field is not used.

func appendEntry(b []byte, r *kgo.Record) []byte {
	b = append(b, byte(len(r.Topic))) // Kafka's names have at most 249 bytes
	b = append(b, r.Topic...)
	out := kmsg.Record{TimestampDelta64: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	return out.AppendTo(b)
}

var errEntry = errors.New("spool entry is not a record")

// parseEntry reads what appendEntry wrote. The record shares b's memory.
func parseEntry(b []byte) (*kgo.Record, error) {
	if len(b) == 0 {
		return nil, errEntry
	}
	n := int(b[0])
	if b = b[1:]; n == 0 || len(b) < n {
		return nil, errEntry
	}
	topic, b := string(b[:n]), b[n:]
	var in kmsg.Record
	if err := in.UnsafeReadFrom(b); err != nil {
		return nil, fmt.Errorf("%w: %w", errEntry, err)
	}
	r := &kgo.Record{Topic: topic, Key: in.Key, Value: in.Value, Timestamp: time.UnixMilli(in.TimestampDelta64)}
	for _, h := range in.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return r, nil
}
