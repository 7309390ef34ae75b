package publish

import (
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// sayAgain is how often the log repeats what Kafka's client says again and again.
const sayAgain = time.Minute

// kafkaLogger passes what kgo says at warning level and above to slog: of lines with one message
// the first, and then one a minute that says how many were left out. While Kafka is away kgo says
// of each broker and partition, several times a second, that it cannot be reached.
type kafkaLogger struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex // guards said
	said map[string]*repetition
}

// repetition is a message that was logged.
type repetition struct {
	at      time.Time // last
	leftOut int       // since then
}

// maxMessages are remembered. kgo has some dozens, and a few name topics.
const maxMessages = 100

func newKafkaLogger(log *slog.Logger) *kafkaLogger {
	return &kafkaLogger{log: log, now: time.Now, said: make(map[string]*repetition)}
}

func (*kafkaLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l *kafkaLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	say, leftOut := l.repeat(msg)
	if !say {
		return
	}
	attrs := make([]any, len(keyvals), len(keyvals)+2)
	for i, v := range keyvals {
		if err, ok := v.(error); ok {
			v = schemas.WithKafkaHint(err)
		}
		attrs[i] = v
	}
	if leftOut > 0 {
		attrs = append(attrs, "left_out", leftOut)
	}
	if level == kgo.LogLevelError {
		l.log.Error("kafka client: "+msg, attrs...)
		return
	}
	l.log.Warn("kafka client: "+msg, attrs...)
}

// repeat reports whether a message is to be logged now, and how many equal ones were not.
func (l *kafkaLogger) repeat(msg string) (say bool, leftOut int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r, known := l.said[msg]
	if known && now.Sub(r.at) < sayAgain {
		r.leftOut++
		return false, 0
	}
	if known {
		leftOut = r.leftOut
	} else if len(l.said) >= maxMessages {
		clear(l.said)
	}
	l.said[msg] = &repetition{at: now}
	return true, leftOut
}
