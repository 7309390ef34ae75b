package publish

import (
	"bytes"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// While Kafka is away its client says the same several times a second: the log has it once a
// minute, with how often it was said and what an operator can do.
func TestLogOfAnOutage(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	l := newKafkaLogger(slog.New(slog.NewTextHandler(&out, nil)))
	l.now = func() time.Time { return now }
	for range 10 * 60 * 5 { // ten minutes
		for partition := range 3 {
			l.Log(kgo.LogLevelWarn, "unable to open connection to broker", "broker", partition, "err", errors.New("refused"))
		}
		l.Log(kgo.LogLevelError, "another message")
		now = now.Add(200 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 20 {
		t.Fatalf("%d lines in ten minutes, want 10 of each message:\n%s", len(lines), out.String())
	}
	if first := lines[0]; !strings.Contains(first, "level=WARN") || !strings.Contains(first, "refused (hint: ") ||
		strings.Contains(first, "left_out") {
		t.Error(first)
	}
	if second := lines[2]; !strings.Contains(second, "left_out=899") {
		t.Errorf("%s\nwant that 899 lines are left out", second)
	}
	if !strings.Contains(lines[1], "level=ERROR") {
		t.Error(lines[1])
	}
	for i := range 10 * maxMessages {
		l.Log(kgo.LogLevelWarn, "topic "+strconv.Itoa(i))
	}
	if len(l.said) > maxMessages {
		t.Errorf("%d messages are remembered", len(l.said))
	}
}
