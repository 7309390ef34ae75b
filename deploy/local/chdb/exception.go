package chdb

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Exception is an error of the engine, or one this package raises in its
// name. It reads as ClickHouse's own: "Code: 60. DB::Exception: …".
type Exception struct {
	// Code is ClickHouse's error number, as in system.errors.
	Code int
	// Message is the text after "DB::Exception: ", with the symbolic name in
	// parentheses at its end where the engine gave one.
	Message string
}

func (e *Exception) Error() string {
	return fmt.Sprintf("Code: %d. DB::Exception: %s", e.Code, e.Message)
}

// exceptionf returns an exception that this package raises itself.
func exceptionf(code int, format string, args ...any) *Exception {
	return &Exception{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error codes of ClickHouse (src/Common/ErrorCodes.cpp) that this package
// raises itself.
const (
	codeCannotReadAllData    = 33
	codeChecksumMismatch     = 40
	codeNotImplemented       = 48
	codeSyntaxError          = 62
	codeUnknownQueryType     = 78
	codeUnknownSetting       = 115
	codeReadOnly             = 164
	codeTooManyQueries       = 202
	codeQueryTooLarge        = 229
	codeAborted              = 236
	codeNotEnoughSpace       = 243
	codeCannotDecompress     = 271
	codeOutfileNotAllowed    = 358
	codeQueryCancelled       = 394
	codeAccessDenied         = 497
	codeAuthenticationFailed = 516
	codeUnknownException     = 1002
)

var exceptionPrefix = regexp.MustCompile(`^(?:Error: )?Code: (\d+)\. (?:\w+::)*\w*Exception: `)

// parseException reads the text of an engine's error. libchdb wraps some of
// them several times over ("Code: 241. DB::Exception: Code: 241. …"); one
// layer is kept.
func parseException(text string) *Exception {
	e := &Exception{Code: codeUnknownException}
	rest := strings.TrimSpace(text)
	for {
		m := exceptionPrefix.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 {
			e.Code = code
		}
		rest = rest[len(m[0]):]
	}
	e.Message = strings.TrimSpace(rest)
	return e
}

// status is the HTTP status that a ClickHouse server gives an exception
// (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp).
func (e *Exception) status() int {
	switch e.Code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 497, 512, 516: // wrong user, password or role
		return http.StatusForbidden
	case 8, 15, 36, 37, 44, 53, 62, 117, 123, 167, 168, 223, 321, 427, // malformed queries
		6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676: // malformed data
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511: // UNKNOWN_*
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 229: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case codeNotImplemented:
		return http.StatusNotImplemented
	case 76, 209, 439: // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
