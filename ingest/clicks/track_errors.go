package clicks

import "encoding/json"

// trackCodes are the error codes that Dub's API has for a status (its API reference, "Errors"). Its
// SDKs know no other code, and report an answer with one as malformed.
var trackCodes = map[int]string{
	400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found",
	429: "rate_limit_exceeded", 500: "internal_server_error",
}

// trackBodies is what the addresses under /track answer: Dub's code, and the edge's own as the
// reason.
var trackBodies = func() map[*fault][]byte {
	m := make(map[*fault][]byte, len(faults))
	for _, f := range faults {
		code := trackCodes[f.status]
		if code == "" {
			code = f.code
		}
		var answer struct {
			Error struct {
				Code    string `json:"code"`
				Message string `json:"message"`
				Hint    string `json:"hint"`
				Reason  string `json:"reason"`
			} `json:"error"`
		}
		answer.Error.Code, answer.Error.Message, answer.Error.Hint, answer.Error.Reason = code, f.message, f.hint, f.code
		m[f], _ = json.Marshal(answer) // strings only: it cannot fail
	}
	return m
}()
