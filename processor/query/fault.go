package query

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
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

const (
	codeBadParameter = "bad_parameter"
	codeDenied       = "clickhouse_denied"
	codeTooLarge     = "answer_too_large"
)

func badParameter(hint, message string, args ...any) *Fault {
	return &Fault{http.StatusBadRequest, codeBadParameter, fmt.Sprintf(message, args...), hint}
}

// faultOf returns what an error of ClickHouse, known by its name, means for whoever asked.
func faultOf(name, text string, timeout time.Duration) *Fault {
	const narrower = "Ask for a shorter time, or give a smaller limit."
	switch name {
	case "UNKNOWN_TABLE", "UNKNOWN_IDENTIFIER", "UNKNOWN_DATABASE",
		"UNKNOWN_FUNCTION": // also a view with parameters that is not there
		return &Fault{http.StatusServiceUnavailable, "no_tables", "ClickHouse answers, but tables or columns are missing.",
			"Run the processor's migrate command against this database."}
	case "UNKNOWN_USER", "WRONG_PASSWORD", "REQUIRED_PASSWORD", "IP_ADDRESS_NOT_ALLOWED", "AUTHENTICATION_FAILED",
		"DATABASE_ACCESS_DENIED", "ACCESS_DENIED", "UNKNOWN_ROLE":
		return &Fault{http.StatusServiceUnavailable, codeDenied, "ClickHouse refuses the user that this program asks as.",
			"Check the DSN's user and password, and that the user has the dashboard's role (processor roles prints it); " +
				"the reason is in this program's log."}
	case "READONLY", "SETTING_CONSTRAINT_VIOLATION":
		return &Fault{http.StatusServiceUnavailable, codeDenied,
			"ClickHouse lets the user that this program asks as give no settings, or not those of questions.",
			"Give the user the dashboard's role (processor roles prints it), whose profile has readonly = 2, and no profile " +
				"with readonly = 1 beside it; the reason is in this program's log."}
	case "BAD_ARGUMENTS", "BAD_QUERY_PARAMETER", "ARGUMENT_OUT_OF_BOUND", // such as an interval of no length
		"FUNCTION_THROW_IF_VALUE_IS_NON_ZERO": // a question refuses a value
		return &Fault{http.StatusBadRequest, codeBadParameter, "ClickHouse cannot read a parameter: " + firstSentence(text),
			"GET /api/query lists each parameter with its type."}
	case "TOO_MANY_ROWS", "TOO_MANY_BYTES", tooManyRowsOrBytes:
		return &Fault{http.StatusUnprocessableEntity, codeTooLarge,
			fmt.Sprintf("The answer has more than %d rows or %d MiB.", maxRows, maxBytes>>20), narrower}
	case "MEMORY_LIMIT_EXCEEDED":
		return &Fault{http.StatusUnprocessableEntity, "question_too_large",
			fmt.Sprintf("The question needs more than %d MiB of ClickHouse's memory.", maxMemory>>20), narrower}
	case timeoutExceeded, "TOO_SLOW":
		return &Fault{http.StatusGatewayTimeout, "question_too_slow",
			fmt.Sprintf("The question takes longer than %s.", timeout), narrower}
	case "QUOTA_EXCEEDED":
		return &Fault{http.StatusServiceUnavailable, "quota_exceeded",
			"The ClickHouse user that this program asks as has spent its quota.",
			"Wait until the quota's interval ends, or raise it; system.quota_usage shows it."}
	case "TOO_MANY_SIMULTANEOUS_QUERIES":
		return errBusy
	}
	return &Fault{http.StatusServiceUnavailable, "clickhouse_unavailable", "ClickHouse does not answer this question.",
		"Check that it runs and that the DSN is right; the reason is in this program's log."}
}

// Errors that this package also finds by itself.
const (
	timeoutExceeded    = "TIMEOUT_EXCEEDED"
	tooManyRowsOrBytes = "TOO_MANY_ROWS_OR_BYTES"
)

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
