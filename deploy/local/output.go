package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
)

// output is the terminal that the supervisor and its children share: whole lines, each with the
// name of who wrote it.
type output struct {
	mu     sync.Mutex
	w      io.Writer
	colour bool
	names  map[string]int // order of appearance, which gives the colour
}

func newOutput(f *os.File) *output {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &output{w: f, colour: terminal && os.Getenv("NO_COLOR") == "", names: make(map[string]int)}
}

// nameWidth is that of the longest name, "clickhouse".
const nameWidth = 10

// colours of names: cyan, green, yellow, magenta, blue and their bright variants. Red is for
// errors.
var colours = []int{36, 32, 33, 35, 34, 96, 92, 93, 95, 94}

func (o *output) line(name string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b bytes.Buffer
	if o.colour {
		if _, ok := o.names[name]; !ok {
			o.names[name] = len(o.names)
		}
		fmt.Fprintf(&b, "\x1b[%dm%-*s\x1b[0m | ", colours[o.names[name]%len(colours)], nameWidth, name)
	} else {
		fmt.Fprintf(&b, "%-*s | ", nameWidth, name)
	}
	b.Write(text)
	b.WriteByte('\n')
	_, _ = o.w.Write(b.Bytes()) // a closed terminal must not end the run
}

// say writes a line of the supervisor's own.
func (o *output) say(format string, args ...any) {
	o.line("local", fmt.Appendf(nil, format, args...))
}

// print writes text that stands for itself, with no name in front.
func (o *output) print(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = io.WriteString(o.w, text)
}

func (o *output) prefixed(name string) *prefixed { return &prefixed{out: o, name: name} }

// prefixed splits what a child writes into lines, each of at most longestLine bytes.
type prefixed struct {
	out  *output
	name string
	mu   sync.Mutex // stdout and stderr may come from two copies
	rest []byte     // the beginning of a line that has no end yet
	// last is the last line, and complaint the last that looks like a warning or an error.
	last, complaint []byte
}

// looksBad matches the levels of slog, zap, Log4j and ClickHouse, and Go's panics.
var looksBad = regexp.MustCompile(`(?i)\b(warn|warning|error|fatal|panic|exception)\b`)

// longestComplaint is how much of a child's line an error repeats, in bytes.
const longestComplaint = 600

func (p *prefixed) emit(line []byte) {
	p.last = append(p.last[:0], line[:min(len(line), longestComplaint)]...)
	if looksBad.Match(line) {
		p.complaint = append(p.complaint[:0], p.last...)
	}
	p.out.line(p.name, line)
}

// lastComplaint returns the child's last warning, or else its last line, as the end of an error
// message; "" if it has written nothing.
func (p *prefixed) lastComplaint() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.complaint) > 0:
		return fmt.Sprintf("; the last warning of %s: %s", p.name, p.complaint)
	case len(p.last) > 0:
		return fmt.Sprintf("; the last line of %s: %s", p.name, p.last)
	default:
		return ""
	}
}

const longestLine = 64 << 10

func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		p.emit(bytes.TrimRight(append(p.rest, b[:i]...), "\r"))
		p.rest, b = p.rest[:0], b[i+1:]
	}
	p.rest = append(p.rest, b...)
	if len(p.rest) > longestLine {
		p.emit(p.rest)
		p.rest = p.rest[:0]
	}
	return n, nil
}

// flush writes a last line that had no end.
func (p *prefixed) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.rest) > 0 {
		p.emit(p.rest)
		p.rest = p.rest[:0]
	}
}
