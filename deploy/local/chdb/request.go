package chdb

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"
)

// maxQueryBytes bounds the text of a statement that is not an INSERT with
// rows. It is far above ClickHouse's own max_query_size (256 KiB by default),
// which the engine applies itself.
const maxQueryBytes = 16 << 20

// notSettings are the URL parameters of ClickHouse's HTTP interface that are
// not settings of the query, and the settings that concern only the transport
// and are dealt with here.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "user": true, "password": true,
	"quota_key": true, "query_id": true, "session_id": true, "session_timeout": true, "session_check": true,
	"close_session": true, "compress": true, "decompress": true, "client_protocol_version": true,
	"wait_end_of_query": true, "buffer_size": true, "stacktrace": true, "role": true,
	"enable_http_compression": true, "http_zlib_compression_level": true, "http_response_buffer_size": true,
	"http_wait_end_of_query": true, "network_compression_method": true, "network_zstd_compression_level": true,
	"send_progress_in_http_headers": true, "http_headers_progress_interval_ms": true, "add_http_cors_header": true,
	"cancel_http_readonly_queries_on_client_close": true, "readonly": true, "log_comment": true,
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// request is an HTTP request read as far as its statement.
type request struct {
	urlQuery url.Values
	database string
	queryID  string
	session  string // session_id: a client's own, without effect
	format   string // default output format
	readOnly bool
	settings map[string]string
	params   map[string]string

	// text is the statement: the query parameter and, when the statement is
	// not an insert with rows, the whole body behind it.
	text string
	// insert and rows are set for an insert with rows.
	insert *insertStatement
	rows   io.Reader
}

// headOfBody is how much of a body is looked at to see what statement it is,
// in bytes. An INSERT whose own text is longer is not recognised as one with
// rows before them, and is refused.
const headOfBody = 1 << 20

func readRequest(r *http.Request) (*request, error) {
	values := r.URL.Query()
	q := &request{
		urlQuery: values,
		database: first(values.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		queryID:  values.Get("query_id"),
		session:  values.Get("session_id"),
		format:   first(values.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		settings: map[string]string{},
		params:   map[string]string{},
	}
	level := values.Get("readonly")
	q.readOnly = readCredentials(r, values).user == ReadOnlyUser || r.Method != http.MethodPost ||
		level != "" && level != "0"
	for name, list := range values {
		switch {
		case strings.HasPrefix(name, "param_"):
			q.params[strings.TrimPrefix(name, "param_")] = list[0]
		case notSettings[name]:
		case !settingName.MatchString(name):
			return nil, &Exception{Code: codeUnknownSetting,
				Message: fmt.Sprintf("Setting %s is neither a builtin setting nor started with the prefix 'SQL_'. (UNKNOWN_SETTING)", name)}
		default:
			q.settings[name] = list[len(list)-1] // as a server does
		}
	}
	body, err := decodedBody(r, values)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return nil, &Exception{Code: codeNotImplemented,
			Message: "External tables (multipart/form-data) are not implemented by the embedded engine. (NOT_IMPLEMENTED)"}
	}
	return q, q.readStatement(values.Get("query"), body)
}

// readStatement joins the query parameter and the body as a server does: the
// parameter, a line break, the body.
func (q *request) readStatement(query string, body io.Reader) error {
	head, err := io.ReadAll(io.LimitReader(body, headOfBody))
	if err != nil {
		return &Exception{Code: codeCannotReadAllData,
			Message: fmt.Sprintf("Cannot read the request's body: %v. (CANNOT_READ_ALL_DATA)", err)}
	}
	ended := len(head) < headOfBody
	text := query
	if query != "" {
		text += "\n"
	}
	text += string(head)
	if insert, ok := parseInsert(text); ok {
		q.insert, q.text = &insert, insert.query
		q.rows = strings.NewReader(text[insert.dataAt:])
		if !ended {
			q.rows = io.MultiReader(q.rows, body)
		}
		return nil
	}
	if !ended {
		rest, err := io.ReadAll(io.LimitReader(body, maxQueryBytes))
		if err != nil {
			return &Exception{Code: codeCannotReadAllData,
				Message: fmt.Sprintf("Cannot read the request's body: %v. (CANNOT_READ_ALL_DATA)", err)}
		}
		text += string(rest)
		if len(text) > maxQueryBytes {
			return &Exception{Code: codeQueryTooLarge,
				Message: fmt.Sprintf("Query is too large, more than %d bytes. (QUERY_IS_TOO_LARGE)", maxQueryBytes)}
		}
	}
	q.text = strings.TrimSpace(text)
	return nil
}

// settings are what a request sets other than every session has it: the SET that applies it, and
// the one that takes it back; empty when there is nothing.
type settings struct{ set, reset string }

// settingsBeside returns the settings of the request that a session does not have anyway (usual).
func (q *request) settingsBeside(usual map[string]string) settings {
	var names []string
	_, all := q.settings["compatibility"] // changes what is usual
	for name, value := range q.settings {
		if same, ok := usual[name]; all || !ok || same != value {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return settings{}
	}
	sort.Strings(names)
	var forward, back []string
	for _, name := range names {
		forward = append(forward, name+" = "+quoteString(q.settings[name]))
		back = append(back, name+" = DEFAULT")
	}
	return settings{"SET " + strings.Join(forward, ", "), "SET " + strings.Join(back, ", ")}
}

func first(candidates ...string) string {
	for _, c := range candidates {
		if c != "" {
			return c
		}
	}
	return ""
}

// isTruncated reports whether err says that a body ended too early.
func isTruncated(err error) bool {
	var read readError
	return errors.As(err, &read)
}

// helloQuery is what clickhouse-go asks first on every connection.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"
