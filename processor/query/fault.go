package query

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Fault says why a question is not answered, in the form of every error of the HTTP interfaces.
type Fault struct {
	Status        int // of HTTP
	Code          string
	Message, Hint string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s: %s (hint: %s)", f.Code, f.Message, f.Hint)
}

func badParameter(hint, message string, args ...any) *Fault {
	return &Fault{http.StatusBadRequest, "bad_parameter", fmt.Sprintf(message, args...), hint}
}

// ClickHouse's error codes (src/Common/ErrorCodes.cpp) whose cause is known.
const (
	codeBadArguments       = 36
	codeUnknownFunction    = 46 // also a view with parameters that is not there
	codeUnknownIdentifier  = 47
	codeUnknownTable       = 60
	codeOutOfBound         = 69 // such as an interval of no length
	codeTooManyRows        = 158
	codeTimeout            = 159
	codeTooSlow            = 160
	codeQuotaExceeded      = 201
	codeTooManyQueries     = 202
	codeMemoryLimit        = 241
	codeUnknownDatabase    = 81
	codeTooManyBytes       = 307
	codeThrown             = 395 // by throwIf: a question refuses a value
	codeTooManyRowsOrBytes = 396
	codeBadParameter       = 457
)

// refusals are the codes by which ClickHouse refuses the user of the DSN: a login, a right or a
// setting.
var refusals = []int{
	164, // READONLY
	192, // UNKNOWN_USER
	193, // WRONG_PASSWORD
	194, // REQUIRED_PASSWORD
	195, // IP_ADDRESS_NOT_ALLOWED
	291, // DATABASE_ACCESS_DENIED
	452, // SETTING_CONSTRAINT_VIOLATION
	497, // ACCESS_DENIED
	511, // UNKNOWN_ROLE
	516, // AUTHENTICATION_FAILED
}

// TablesMissing reports whether an error code of ClickHouse means that the database lacks
// migrations.
func TablesMissing(code int) bool {
	return code == codeUnknownTable || code == codeUnknownIdentifier || code == codeUnknownFunction ||
		code == codeUnknownDatabase
}

// faultOf says in the asker's words what ClickHouse answered with an error code.
func faultOf(code int, text string) *Fault {
	const narrower = "Ask for a shorter time, or give a smaller limit."
	if TablesMissing(code) {
		return &Fault{http.StatusServiceUnavailable, "no_tables", "ClickHouse answers, but tables or columns are missing.",
			"Run the processor's migrate command against this database."}
	}
	if slices.Contains(refusals, code) {
		return &Fault{http.StatusServiceUnavailable, "clickhouse_denied",
			"ClickHouse refuses the user that this program asks as.",
			"Check the DSN's user and password, and that the user has the dashboard's role (processor roles prints it); " +
				"the reason is in this program's log."}
	}
	switch code {
	case codeBadArguments, codeBadParameter, codeOutOfBound, codeThrown:
		return &Fault{http.StatusBadRequest, "bad_parameter", "ClickHouse cannot read a parameter: " + firstSentence(text),
			"GET /api/query lists each parameter with its type."}
	case codeTooManyRows, codeTooManyBytes, codeTooManyRowsOrBytes:
		return &Fault{http.StatusUnprocessableEntity, "answer_too_large",
			fmt.Sprintf("The answer has more than %d rows or %d MiB.", maxRows, maxBytes>>20), narrower}
	case codeMemoryLimit:
		return &Fault{http.StatusUnprocessableEntity, "question_too_large",
			fmt.Sprintf("The question needs more than %d MiB of ClickHouse's memory.", maxMemory>>20), narrower}
	case codeTimeout, codeTooSlow:
		return &Fault{http.StatusGatewayTimeout, "question_too_slow",
			fmt.Sprintf("The question takes longer than %s.", timeout), narrower}
	case codeQuotaExceeded:
		return &Fault{http.StatusServiceUnavailable, "quota_exceeded",
			"The ClickHouse user that this program asks as has spent its quota.",
			"Wait until the quota's interval ends, or raise it; system.quota_usage shows it."}
	case codeTooManyQueries:
		return errBusy
	}
	return &Fault{http.StatusServiceUnavailable, "clickhouse_unavailable", "ClickHouse does not answer this question.",
		"Check that it runs and that the DSN is right; the reason is in this program's log."}
}

// errBusy is returned while as many questions are being answered as may be at a time.
var errBusy = &Fault{http.StatusTooManyRequests, "busy", "Too many questions are being answered at this moment.",
	"Ask again in a second, and at most three at a time."}

var exceptionPrefix = regexp.MustCompile(`^Code: \d+\. DB::Exception: `)

// firstSentence returns what ClickHouse says is wrong, without its code, version and the statement.
func firstSentence(text string) string {
	text = exceptionPrefix.ReplaceAllString(strings.TrimSpace(text), "")
	for _, end := range []string{": while ", ": In scope", ". (", ": value ", "\n"} {
		text, _, _ = strings.Cut(text, end)
	}
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return strings.TrimSuffix(text, ".") + "."
}

// Write answers an HTTP request with the fault.
func (f *Fault) Write(w http.ResponseWriter) {
	type text struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	}
	body, _ := json.Marshal(map[string]text{"error": {f.Code, f.Message, f.Hint}}) // strings can always be written
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write(body) // the client may have gone
}
