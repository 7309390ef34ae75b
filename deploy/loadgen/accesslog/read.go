package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// longestLine is how many bytes a line may have. Longer ones are reported, not read: a log is not
// trusted input.
const longestLine = 64 << 10

// errTooLong says that a line has more than LongestLine bytes.
var errTooLong = fmt.Errorf("read line: longer than %d bytes", longestLine)

// Read calls good for each line that parses and bad for each that does not, in order, until either
// returns an error. Empty lines are passed over but counted. Compressed input is recognised by its
// first bytes, whatever its name.
func Read(from io.Reader, good func(Line) error, bad func(number int, why error) error) error {
	r := bufio.NewReaderSize(from, longestLine)
	if magic, _ := r.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("open gzip: %w", err)
		}
		defer z.Close()
		r = bufio.NewReaderSize(z, longestLine)
	}
	p := new(parser)
	for number := 1; ; number++ {
		text, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if err = skip(r); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read log: %w", err)
			}
			if err := bad(number, errTooLong); err != nil {
				return err
			}
			continue
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("read log: %w", err)
		}
		for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
			text = text[:len(text)-1]
		}
		if len(text) > 0 {
			if err := p.pass(number, string(text), good, bad); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

func (p *parser) pass(number int, text string, good func(Line) error, bad func(int, error) error) error {
	l, err := p.parse(number, text)
	switch {
	case errors.Is(err, errHeader):
		return nil
	case err != nil:
		return bad(number, err)
	}
	l.Repeat = p.repeat(text)
	return good(l)
}

// skip reads to the end of a line that is too long.
func skip(r *bufio.Reader) error {
	for {
		if _, err := r.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
