package clicks

import "testing"

// Dub's SDKs take an error for malformed unless its code is one of Dub's; the edge's own code
// stands beside it.
func TestTrackErrors(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for _, c := range []struct {
		path, body, header string
		status             int
		code, reason       string
	}{
		{"/track/click", `{"domain":"go.acme.example"}`, "Origin: https://acme.example", 400, "bad_request", "bad_link"},
		{"/track/click", `{"domain":"go.acme.example","key":"x"}`, "", 401, "unauthorized", "no_key"},
		{"/track/lead", `{"customerExternalId":"u1"}`, "Authorization: Bearer wrong", 401, "unauthorized",
			"unknown_secret_key"},
		{"/track/nothing", `{}`, "", 404, "not_found", "not_found"},
		{"/track/sale", `{"amount":100}`, "Authorization: Bearer sk_acme", 400, "bad_request", "bad_lead"},
		{"/track/sale", `{"amount":-1,"customerExternalId":"u"}`, "Authorization: Bearer sk_acme", 400,
			"bad_request", "bad_amount"},
		{"/track/sale", `{"amount":1,"customerExternalId":"u","invoiceId":"in_1"}`, "Authorization: Bearer sk_acme", 400,
			"bad_request", "bad_id"},
		{"/track/sale", `{"amount":100}`, "Authorization: Bearer pk_acme", 401, "unauthorized", "unknown_secret_key"},
		{"/track/sale", `{"amount":"x","customerExternalId":"u","paymentProcessor":"stripe"}`,
			"Authorization: Bearer sk_acme",
			400, "bad_request", "bad_amount"},
		{"/track/sale/client", `{"amount":100,"customerExternalId":"u"}`, "Origin: https://other.example",
			401, "unauthorized",
			"no_key"},
		{"/track/sale/client", `{"amount":100,"customerExternalId":"u"}`, "Authorization: Bearer wrong", 401, "unauthorized",
			"unknown_key"},
		{"/track/sale/client", `{"amount":100}`, "Authorization: Bearer pk_zen", 400, "bad_request", "bad_lead"},
		{"/track/lead/client", `{"customerExternalId":"u"}`, "Authorization: Bearer wrong", 401,
			"unauthorized", "unknown_key"},
		{"/track/lead/client", `{"customerExternalId":"u"}`, "Authorization: Bearer pk_acme", 403, "forbidden",
			"host_not_allowed"},
		{"/track/open", `{"deepLink":"spring"}`, "", 400, "bad_request", "bad_deep_link"},
		{"/track/open", `{"deepLink":"https://go.acme.example/spring"}`, "", 401, "unauthorized", "no_key"},
	} {
		headers := []string{c.header}
		if c.header == "" {
			headers = nil
		}
		a := e.do("POST", c.path, c.body, headers...)
		if a.StatusCode != c.status || a.field(t, "error", "code") != c.code || a.field(t, "error", "reason") != c.reason {
			t.Errorf("POST %s: %d %s, want %d %s (%s)", c.path, a.StatusCode, a.body, c.status, c.code, c.reason)
		}
	}
	for _, path := range []string{"/track/click", "/track/visit", "/track/open", "/track/lead", "/track/lead/client",
		"/track/sale", "/track/sale/client"} {
		if a := e.do("OPTIONS", path, "", "Origin: https://a.example",
			"Access-Control-Request-Method: POST"); a.StatusCode != 204 {
			t.Errorf("OPTIONS %s: %d", path, a.StatusCode)
		}
		if a := e.do("POST", path, `{}`, "Origin: https://a.example"); a.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("POST %s: a page cannot read the answer", path)
		}
	}
	e.nothing()
}
