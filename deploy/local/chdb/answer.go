package chdb

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func readOnlyException(r *http.Request) *Exception {
	if r.Method != http.MethodPost {
		return &Exception{Code: codeReadOnly,
			Message: "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should " +
				"use method POST for modifying queries. (READONLY)"}
	}
	return &Exception{Code: codeReadOnly, Message: "Cannot execute query in readonly mode. (READONLY)"}
}

// writeError answers with an exception as a server does.
func (e *Engine) writeError(w http.ResponseWriter, r *http.Request, err error) {
	var exception *Exception
	if !errors.As(err, &exception) {
		exception = &Exception{Code: codeUnknownException, Message: err.Error()}
	}
	text := exception.Error()
	if !strings.Contains(text, "(version ") {
		text += " (version " + e.identity.version + ")"
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(exception.Code))
	encoding := responseEncoding(r, r.URL.Query())
	if encoding != "" {
		header.Set("Content-Encoding", string(encoding))
	}
	w.WriteHeader(exception.status())
	_ = encoding.write(w, []byte(text+"\n"))
}

// writeResult answers with a statement's output. A failure to send it is the
// client's to notice.
func (e *Engine) writeResult(w http.ResponseWriter, r *http.Request, q *request, data []byte, done counts,
	started time.Time) {
	header := w.Header()
	format := q.format
	if own := outputFormat(q.text); own != "" && q.insert == nil {
		format = own
	}
	header.Set("Content-Type", contentType(format))
	header.Set("X-ClickHouse-Format", format)
	header.Set("X-ClickHouse-Summary", fmt.Sprintf(
		`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"0","result_bytes":"%d","elapsed_ns":"%d"}`,
		done.rowsRead, done.bytesRead, done.rowsWritten, done.bytesWritten, len(data), time.Since(started).Nanoseconds()))
	encoding := responseEncoding(r, q.urlQuery)
	switch {
	case len(data) == 0:
		// No bytes at all, in every encoding: clients recognize a
		// statement without result by its length.
		header.Set("Content-Length", "0")
		return
	case encoding != "":
		header.Set("Content-Encoding", string(encoding))
	default:
		header.Set("Content-Length", strconv.Itoa(len(data)))
	}
	if r.Method == http.MethodHead {
		return
	}
	_ = encoding.write(w, data)
}

// contentType is the media type that a server gives an output format.
func contentType(format string) string {
	switch {
	case format == "JSONEachRow", strings.HasPrefix(format, "JSONCompactEachRow"),
		strings.HasPrefix(format, "JSONStringsEachRow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(format, "Pretty"), format == "Vertical", format == "Values", format == "Markdown",
		format == "SQLInsert":
		return "text/plain; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	default:
		return "application/octet-stream"
	}
}

// failing is a reader that only reports err, or nothing when err is nil or the
// end of data.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
