package chdb

import (
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// decodedBody undoes the request's Content-Encoding. gzip and deflate are enough for clickhouse-go,
// curl and Grafana; a ClickHouse server knows more encodings, which are refused here by name.
func decodedBody(r *http.Request, values url.Values) (io.Reader, error) {
	var body io.Reader = http.NoBody
	if r.Body != nil {
		body = r.Body
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	var err error
	switch {
	case isOn(values.Get("decompress")) || isOn(values.Get("compress")):
		return nil, exceptionf(codeNotImplemented, "The embedded engine does not implement the compressed blocks of "+
			"compress=1 and decompress=1 (hint: use HTTP compression, gzip or deflate). (NOT_IMPLEMENTED)")
	case encoding == "" || encoding == "identity":
		return body, nil
	case encoding == "gzip" || encoding == "x-gzip":
		body, err = gzip.NewReader(body)
	case encoding == "deflate":
		body, err = zlib.NewReader(body)
	default:
		return nil, exceptionf(codeNotImplemented,
			"Unknown or unsupported Content-Encoding: %s (hint: use gzip or deflate). (NOT_IMPLEMENTED)", encoding)
	}
	if err != nil {
		return nil, exceptionf(codeCannotDecompress,
			"Cannot decompress the request's body as %s: %v. (CANNOT_DECOMPRESS)", encoding, err)
	}
	return body, nil
}

// encoding is the Content-Encoding of a response; "" means that it is not compressed.
type encoding string

// responseEncoding follows ClickHouse's rule: Accept-Encoding counts only with
// enable_http_compression=1.
func responseEncoding(r *http.Request, values url.Values) encoding {
	if !isOn(values.Get("enable_http_compression")) {
		return ""
	}
	for wanted := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(wanted)), ";")
		if name == "gzip" || name == "deflate" {
			return encoding(name)
		}
	}
	return ""
}

// write compresses data and sends it.
func (e encoding) write(w io.Writer, data []byte) error {
	var out io.WriteCloser
	switch e {
	case "gzip":
		out = gzip.NewWriter(w)
	case "deflate":
		out = zlib.NewWriter(w)
	default:
		_, err := w.Write(data)
		return err
	}
	if _, err := out.Write(data); err != nil {
		return fmt.Errorf("compress response: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("compress response: %w", err)
	}
	return nil
}

func isOn(value string) bool {
	return value != "" && value != "0" && !strings.EqualFold(value, "false")
}
