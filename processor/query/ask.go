package query

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/sql"
)

// Limits of one answer. They bound what a question costs ClickHouse, and what this process holds.
const (
	timeout   = 10 * time.Second // of ClickHouse, unless the DSN has another; the whole answer may take 2 s longer
	maxRows   = 1_000_000
	maxBytes  = 32 << 20 // of the answer as it is sent
	maxMemory = 2 << 30  // of ClickHouse, for one statement

	maxExecutionTime = "max_execution_time"
	maxTimeout       = 90 // seconds that it may be: those of the role (sql/access/dashboard.sql)

	// maxPartBytes is of what a part answers, as ClickHouse holds it: about 10,000 rows of breakdown. In
	// the text of a statement two parts are at most eight times as long, where names are \ alone: less
	// than the 16 MiB that the engine of a local run takes.
	maxPartBytes = 3 << 19

	maxAtOnce    = 8 // questions that are being answered at a time
	maxOfOneUser = 3 // of them, of one user
)

// Asker asks questions over ClickHouse's HTTP interface.
type Asker struct {
	client    *http.Client
	timeout   time.Duration // of ClickHouse
	addresses []string      // each scheme://host:port/path
	last      atomic.Int64  // of addresses: the one to begin with
	options   *clickhousego.Options
	log       *slog.Logger
	slots     chan struct{} // its capacity bounds the questions at a time

	mu    sync.Mutex           // guards what follows
	users map[string]int       // questions that are being answered, by user
	sizes map[string]size      // by workspace
	whole map[string]time.Time // when a question had more names than are worth joining, by partsKey
}

// size says whether a workspace was large when it was looked up.
type size struct {
	large bool
	at    time.Time
}

const sizeFor = time.Hour // until a workspace's size is looked up again, and a question is asked in parts again

// Open makes an Asker. It does not connect. The DSN is an http:// or https:// one; a ClickHouse
// user who may only read is enough, with a profile that lets the settings of a query be given
// (readonly is 0 or 2).
//
// A question may take 10 seconds, or as long as the DSN's max_execution_time says, in whole
// seconds: for a history or a machine with which that is too short.
func Open(dsn string, log *slog.Logger) (*Asker, error) {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return nil, err
	}
	if options.Protocol != clickhousego.HTTP {
		return nil, errors.New("questions are asked over HTTP (hint: --clickhouse-dsn http://host:8123/tributary)")
	}
	limit, err := timeoutOf(options)
	if err != nil {
		return nil, err
	}
	scheme, transport := "http", http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2 * maxAtOnce // two parts of each question
	transport.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	transport.DisableCompression = true // Parquet is compressed, and the way to the database is short
	if options.TLS != nil {
		scheme, transport.TLSClientConfig = "https", options.TLS
	} else {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	a := &Asker{
		client:  &http.Client{Transport: transport, Timeout: limit + 5*time.Second},
		timeout: limit, options: options, log: log,
		slots: make(chan struct{}, maxAtOnce), users: make(map[string]int), sizes: make(map[string]size),
		whole: make(map[string]time.Time),
	}
	for _, address := range options.Addr {
		a.addresses = append(a.addresses, scheme+"://"+address+"/"+strings.TrimPrefix(options.HttpUrlPath, "/"))
	}
	return a, nil
}

// timeoutOf returns how long ClickHouse may take for a question. Text is refused, and so is 0, by
// which ClickHouse would never stop.
func timeoutOf(options *clickhousego.Options) (time.Duration, error) {
	given, ok := options.Settings[maxExecutionTime]
	if !ok {
		return timeout, nil
	}
	seconds, err := strconv.Atoi(fmt.Sprint(given))
	if err != nil || seconds <= 0 || seconds > maxTimeout {
		return 0, fmt.Errorf("%s of the DSN is %v (hint: give seconds from 1 to %d, such as 30)", maxExecutionTime, given,
			maxTimeout)
	}
	return time.Duration(seconds) * time.Second, nil
}

// Close ends idle connections.
func (a *Asker) Close() { a.client.CloseIdleConnections() }

// Ask returns the answer to a question, written in a format. user is who asks, to keep one from
// taking all the time; values are those of [Values]. An error is a *Fault, or ctx's.
func (a *Asker) Ask(ctx context.Context, user string, q sql.Question, values map[string]string, f Format,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout+2*time.Second)
	defer cancel()
	release, err := a.admit(ctx, user)
	if err != nil {
		return nil, err
	}
	defer release()
	answer, err := a.send(ctx, q, values, f)
	var fault *Fault
	if err != nil && !errors.As(err, &fault) {
		if ctx.Err() == context.Canceled {
			return nil, ctx.Err()
		}
		var request *url.Error
		if errors.As(err, &request) {
			err = request.Err // without the address, which is long and repeats every value
		}
		a.log.Warn("a question failed", "question", q.Name, "workspace", values["workspace"], "error", err)
		// ClickHouse was reached, and did not keep to its own limit.
		if ctx.Err() == context.DeadlineExceeded && !errors.Is(err, errSilent) {
			return nil, faultOf(timeoutExceeded, "", a.timeout)
		}
		return nil, faultOf("", "", a.timeout)
	}
	return answer, err
}

// admit waits for a free slot. Who has as many questions under way as one user may have is refused
// at once: waiting would let the rest wait, too.
func (a *Asker) admit(ctx context.Context, user string) (release func(), err error) {
	a.mu.Lock()
	full := a.users[user] >= maxOfOneUser
	if !full {
		a.users[user]++
	}
	a.mu.Unlock()
	if full {
		return nil, errBusy
	}
	leave := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.users[user]--; a.users[user] == 0 {
			delete(a.users, user)
		}
	}
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, errBusy
	}
}

// settings of every question, over those of every connection. readonly=2 forbids every change of
// data and lets the others be given.
var settings = map[string]string{
	"readonly":             "2",
	"max_result_rows":      strconv.Itoa(maxRows),
	"max_result_bytes":     strconv.Itoa(4 * maxBytes), // counted before they are written
	"result_overflow_mode": "throw",
	"max_memory_usage":     strconv.Itoa(maxMemory),
	"cancel_http_readonly_queries_on_client_close": "1",
	"wait_end_of_query":                            "1", // the answer's status is the question's, not its beginning's

	// How an answer is written, whatever the user's profile says: equal figures are equal bytes.
	"output_format_json_quote_64bit_integers":                 "1",
	"output_format_json_quote_decimals":                       "1",
	"output_format_json_quote_64bit_floats":                   "0",
	"output_format_json_quote_denormals":                      "0",
	"output_format_json_named_tuples_as_objects":              "1",
	"output_format_json_map_as_array_of_tuples":               "0",
	"output_format_json_skip_null_value_in_named_tuples":      "0",
	"output_format_json_array_of_rows":                        "0",
	"output_format_write_statistics":                          "0",
	"output_format_decimal_trailing_zeros":                    "0",
	"output_format_float_precision":                           "0",
	"format_csv_delimiter":                                    ",",
	"format_csv_null_representation":                          `\N`,
	"output_format_csv_crlf_end_of_line":                      "0",
	"output_format_tsv_crlf_end_of_line":                      "0",
	"output_format_csv_serialize_tuple_into_separate_columns": "1",
}

// send asks the question of ClickHouse: its parts at the same time, if it has any.
func (a *Asker) send(ctx context.Context, q sql.Question, values map[string]string, f Format,
) (answer []byte, err error) {
	large, err := a.large(ctx, values["workspace"])
	if err != nil {
		return nil, err
	}
	if q, err = q.Given(values); err != nil {
		return nil, err
	}
	inParts := a.inParts(q, values, large)
	if inParts {
		answer, err = a.sendParts(ctx, q, values, f, large)
		// More names than are worth joining, of which the question shows the first, are asked for as a whole.
		var fault *Fault
		if errors.As(err, &fault) && fault.Code == codeTooLarge {
			inParts = false
			a.mu.Lock()
			a.whole[partsKey(q, values)] = time.Now()
			a.mu.Unlock()
		}
	}
	if !inParts {
		answer, err = a.sendPart(ctx, q, sql.Whole, values, f.clickHouse, large)
	}
	if err != nil || f.Name != JSON.Name {
		return answer, err
	}
	return compact(answer)
}

// inParts reports whether to ask the question in parts: not where these had too many names of late.
func (a *Asker) inParts(q sql.Question, values map[string]string, large bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return q.HasParts(large) && time.Since(a.whole[partsKey(q, values)]) >= sizeFor
}

// partsKey is made of what decides how many names a question has, but for its time and filters. There
// are as many as workspaces times dimensions and units.
func partsKey(q sql.Question, values map[string]string) string {
	return strings.Join([]string{q.Name, values["dimension"], values["unit"], values["workspace"]}, " ")
}

// sendParts asks both parts of the question, and makes one answer of theirs. ClickHouse may use
// maxMemory for each.
func (a *Asker) sendParts(ctx context.Context, q sql.Question, values map[string]string, f Format, large bool,
) ([]byte, error) {
	var clicks, others []byte
	group, both := errgroup.WithContext(ctx)
	for part, answer := range map[sql.Part]*[]byte{sql.Clicks: &clicks, sql.Others: &others} {
		group.Go(func() (err error) {
			*answer, err = a.sendPart(both, q, part, values, "TabSeparatedWithNamesAndTypes", large)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	text, err := q.Join(values, string(clicks), string(others))
	if err != nil {
		return nil, err
	}
	return a.sendText(ctx, q, sql.Whole, values, f.clickHouse, text)
}

// sendPart asks a part of the question, after looking up first sales where it needs them.
func (a *Asker) sendPart(ctx context.Context, q sql.Question, part sql.Part, values map[string]string, format string,
	large bool,
) (answer []byte, err error) {
	known := sql.Known{Large: large}
	if known.Large && part != sql.Clicks && q.NeedsFirstSales() {
		if known.FirstSales, err = a.firstSales(ctx, values); err != nil {
			return nil, err
		}
	}
	send := func() ([]byte, error) {
		text, err := q.StatementOf(part, values, known)
		if err != nil {
			return nil, err
		}
		return a.sendText(ctx, q, part, values, format, text)
	}
	answer, err = send()
	var fault *Fault
	if known.FirstSales != nil && errors.As(err, &fault) && fault.Code == codeBadParameter { // the lists may be gone
		known.FirstSales = nil
		answer, err = send()
	}
	return answer, err
}

func (a *Asker) sendText(ctx context.Context, q sql.Question, part sql.Part, values map[string]string,
	format, text string,
) ([]byte, error) {
	query := url.Values{"default_format": {format}, "log_comment": {"tributary question " + q.Name}}
	if part != sql.Whole {
		query.Set("max_result_bytes", strconv.Itoa(maxPartBytes))
	}
	for _, p := range q.Parameters {
		query.Set("param_"+p.Name, escape(p.Type, values[p.Name]))
	}
	response, err := a.post(ctx, query, text)
	if err != nil {
		return nil, err
	}
	return a.read(response, q)
}

// large reports whether the workspace has so many entries that a question is asked in another way.
// It counts them once an hour: what it says changes no answer, only how long it takes. An error is
// errSilent.
func (a *Asker) large(ctx context.Context, workspace string) (bool, error) {
	a.mu.Lock()
	known, ok := a.sizes[workspace]
	a.mu.Unlock()
	if ok && time.Since(known.at) < sizeFor {
		return known.large, nil
	}
	body, err := a.lookUp(ctx, "size of a workspace", map[string]string{"workspace": workspace},
		"SELECT count() FROM revenue WHERE workspace = {workspace:String}")
	if err != nil {
		return known.large, ifSilent(err)
	}
	entries, err := strconv.Atoi(strings.TrimSpace(body))
	if err != nil {
		return known.large, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sizes[workspace] = size{large: entries >= sql.LargeFrom, at: time.Now()}
	return entries >= sql.LargeFrom, nil
}

// ifSilent returns err if it is errSilent, after which no time is left for the question. Of other
// errors the question itself says what is wrong.
func ifSilent(err error) error {
	if errors.Is(err, errSilent) {
		return err
	}
	return nil
}

// firstSales returns which lists tell the first sales of the workspace, or nil where all payments
// must be read. It is looked up for each question: what was written a moment ago is in the answer. An
// error is errSilent.
func (a *Asker) firstSales(ctx context.Context, values map[string]string) (*sql.FirstSales, error) {
	var sent error
	f, ok, err := sql.LookUpFirstSales(func(statement string) ([]string, error) {
		var rows string
		rows, sent = a.lookUp(ctx, "first sales",
			map[string]string{"workspace": values["workspace"], "livemode": values["livemode"]}, statement)
		return strings.Split(strings.TrimSuffix(rows, "\n"), "\n"), sent
	})
	if sent != nil {
		return nil, ifSilent(sent) // all payments tell as much
	}
	if err != nil {
		a.log.Warn("cannot read the lists of first sales; all payments are read", "error", err)
	}
	if !ok {
		return nil, nil
	}
	return &f, nil
}

// lookUp returns the rows of a statement that prepares a question, as TabSeparated.
func (a *Asker) lookUp(ctx context.Context, comment string, values map[string]string, text string) (string, error) {
	query := url.Values{"default_format": {"TabSeparated"}, "log_comment": {"tributary " + comment}}
	for name, value := range values {
		query.Set("param_"+name, escape("String", value))
	}
	response, err := a.post(ctx, query, text)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("look up %s: %s: %.200s", comment, response.Status, body)
	}
	return string(body), err
}

// post sends a statement to one of the addresses (toOne). What it says stands over every other setting.
func (a *Asker) post(ctx context.Context, statement url.Values, text string) (*http.Response, error) {
	query := url.Values{"database": {a.options.Auth.Database}}
	for _, values := range []map[string]string{sql.Pinned(), sql.Uncompiled()} {
		for name, value := range values {
			query.Set(name, value)
		}
	}
	for name, value := range a.options.Settings {
		query.Set(name, fmt.Sprint(value))
	}
	for name, value := range settings {
		query.Set(name, value)
	}
	if len(text) > 200<<10 { // ClickHouse takes 256 KiB; what parts answered and what payments were written may be more
		query.Set("max_query_size", strconv.Itoa(len(text)+1))
	}
	query.Set(maxExecutionTime, strconv.Itoa(int(a.timeout/time.Second)))
	maps.Copy(query, statement)
	return a.toOne(ctx, query.Encode(), text)
}

func (a *Asker) read(response *http.Response, q sql.Question) ([]byte, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	code, _ := strconv.Atoi(response.Header.Get("X-ClickHouse-Exception-Code")) // 0 without one
	switch {
	case code != 0 || response.StatusCode != http.StatusOK:
		text := string(body[:min(len(body), 1000)])
		fault := faultOf(clickhouse.ErrorName(code), text, a.timeout)
		if fault.Status == http.StatusServiceUnavailable {
			a.log.Warn("a question failed", "question", q.Name, "status", response.Status, "error", text)
		}
		return nil, fault
	case len(body) > maxBytes:
		return nil, faultOf(tooManyRowsOrBytes, "", a.timeout)
	}
	return slices.Clip(body), nil
}

// compact takes the blanks out of JSON, which ClickHouse writes for eyes.
func compact(answer []byte) ([]byte, error) {
	var short bytes.Buffer
	if err := json.Compact(&short, answer); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return short.Bytes(), nil
}

// escape writes a value as the HTTP interface reads param_…: in the escaping of TabSeparated
// (https://clickhouse.com/docs/interfaces/http#cli-queries-with-parameters). Lists and maps have no
// other escaping than that of the quoted texts in them.
func escape(kind, value string) string {
	if _, isList := elementType(kind); isList || kind == filterType {
		return value
	}
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\x00", `\0`).Replace(value)
}
