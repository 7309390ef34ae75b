package accesslog

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// longestLine is how many bytes a line may have. Longer ones are reported, not read: a log is not
// trusted input.
const longestLine = 64 << 10

// errTooLong says that a line has more than longestLine bytes.
var errTooLong = fmt.Errorf("read line: longer than %d bytes", longestLine)

// Read calls good for each line that parses and bad for each that does not, in order, until either
// returns an error. Empty lines are passed over but counted. Compressed input is recognised by its
// first bytes, whatever its name.
func Read(from io.Reader, good func(Line) error, bad func(number int, why error) error) error {
	r, err := decompress(bufio.NewReaderSize(from, longestLine))
	if err != nil {
		return err
	}
	p := new(parser)
	for number := 1; ; number++ {
		text, err := readLine(r)
		end := errors.Is(err, io.EOF)
		switch {
		case errors.Is(err, errTooLong):
			if err := bad(number, err); err != nil {
				return err
			}
			continue
		case err != nil && !end:
			return fmt.Errorf("read log: line %d: %w%s", number, err, hint(err))
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
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

// decompress returns what gzip has compressed, or r itself if it is not compressed.
func decompress(r *bufio.Reader) (*bufio.Reader, error) {
	if magic, _ := r.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read log: %w%s", err, hint(err))
	}
	return bufio.NewReaderSize(z, longestLine), nil
}

// hint says what to do about a compressed file that does not unpack.
func hint(err error) string {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) ||
		errors.As(err, &corrupt) {
		return " (hint: the compressed file is cut short or damaged; fetch it again)"
	}
	return ""
}

// readLine returns the next line without its end, valid until the next read; errTooLong for one
// that was passed over because of its length; and io.EOF with the last line, which may be empty.
func readLine(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		if err = skip(r); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, errTooLong
	}
	return bytes.TrimRight(text, "\r\n"), err
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
