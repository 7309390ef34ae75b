package chdb

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decodedBody undoes the request's compression: Content-Encoding, or with
// decompress=1 the checksummed blocks of ClickHouse's native protocol.
func decodedBody(r *http.Request, values url.Values) (io.Reader, error) {
	var body io.Reader = http.NoBody
	if r.Body != nil {
		body = r.Body
	}
	if isOn(values.Get("decompress")) {
		source := bufio.NewReader(body)
		return &blockReader{source: source, blocks: chcompress.NewReader(source)}, nil
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	var err error
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "lz4":
		body = lz4.NewReader(body)
	case "zstd":
		var decoder *zstd.Decoder
		if decoder, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1)); err == nil {
			body = decoder.IOReadCloser()
		}
	default:
		return nil, &Exception{Code: codeNotImplemented, Message: fmt.Sprintf("Unknown or unsupported Content-Encoding: %s. (NOT_IMPLEMENTED)", encoding)}
	}
	if err != nil {
		return nil, &Exception{Code: codeCannotDecompress, Message: fmt.Sprintf("Cannot decompress the request's body as %s: %v. (CANNOT_DECOMPRESS)", encoding, err)}
	}
	return body, nil
}

// blockReader reads ClickHouse's compressed blocks and tells their end from a
// block cut short. The decoder reports both as an error that wraps io.EOF, so
// what decides is whether anything was left to begin a block with.
type blockReader struct {
	source *bufio.Reader
	blocks *chcompress.Reader
}

func (b *blockReader) Read(p []byte) (int, error) {
	_, atEnd := b.source.Peek(1)
	n, err := b.blocks.Read(p)
	switch {
	case err == nil || !errors.Is(err, io.EOF):
	case atEnd != nil:
		err = atEnd // io.EOF, or why the body broke off
	default:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// encoder is how a response is to be compressed. The zero value does not.
type encoder struct {
	// encoding is the Content-Encoding to announce, "" for none.
	encoding string
	// blocks is set for compress=1: ClickHouse's checksummed blocks, which
	// are not announced by a header.
	blocks bool
	method chcompress.Method
}

// responseEncoder follows ClickHouse's rules: compress=1 gives native blocks;
// Accept-Encoding counts only with enable_http_compression=1.
func responseEncoder(r *http.Request, values url.Values) encoder {
	if isOn(values.Get("compress")) {
		e := encoder{blocks: true, method: chcompress.LZ4}
		if strings.EqualFold(values.Get("network_compression_method"), "ZSTD") {
			e.method = chcompress.ZSTD
		}
		return e
	}
	if !isOn(values.Get("enable_http_compression")) {
		return encoder{}
	}
	for _, wanted := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(wanted)), ";")
		switch name {
		case "gzip", "deflate", "br", "zstd", "lz4":
			return encoder{encoding: name}
		}
	}
	return encoder{}
}

// write sends data through the encoder.
func (e encoder) write(w io.Writer, data []byte) error {
	var out io.WriteCloser
	switch {
	case e.blocks:
		return e.writeBlocks(w, data)
	case e.encoding == "":
		_, err := w.Write(data)
		return err
	case e.encoding == "gzip":
		out = gzip.NewWriter(w)
	case e.encoding == "deflate":
		out = zlib.NewWriter(w)
	case e.encoding == "br":
		out = brotli.NewWriterLevel(w, 4)
	case e.encoding == "lz4":
		out = lz4.NewWriter(w)
	case e.encoding == "zstd":
		encoder, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("compress response: %w", err)
		}
		out = encoder
	}
	if _, err := out.Write(data); err != nil {
		return fmt.Errorf("compress response: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("compress response: %w", err)
	}
	return nil
}

// blockBytes is the uncompressed size of a native compressed block, that of
// ClickHouse's own buffers.
const blockBytes = 1 << 20

func (e encoder) writeBlocks(w io.Writer, data []byte) error {
	buffered := bufio.NewWriter(w)
	compressor := chcompress.NewWriter(chcompress.LevelZero, e.method)
	for len(data) > 0 {
		n := min(len(data), blockBytes)
		if err := compressor.Compress(data[:n]); err != nil {
			return fmt.Errorf("compress response: %w", err)
		}
		if _, err := buffered.Write(compressor.Data); err != nil {
			return err
		}
		data = data[n:]
	}
	return buffered.Flush()
}

func isOn(value string) bool {
	return value != "" && value != "0" && !strings.EqualFold(value, "false")
}
