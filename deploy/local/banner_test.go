package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"tributary/processor/workspace"
)

// The command that is printed works when pasted: the click's id comes back in a body that is
// signed.
func TestSaleCommandWorks(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "openssl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	const secret, click = "whsec_test", "0199aa00-0000-7000-8000-000000000001"
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind := r.Header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("the click is %s, which the edge refuses", kind)
		}
		var sent struct{ Key, URL string }
		if err := json.Unmarshal(body(t, r), &sent); err != nil || sent.Key != "pk_o'neill" ||
			!strings.HasPrefix(sent.URL, "https://tea.example/?") {
			t.Errorf("the click is %+v, %v", sent, err)
		}
		_, _ = io.WriteString(w, `{"click_id":"`+click+`"}`)
	}))
	defer edge.Close()
	var called bool
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		payload := body(t, r)
		var at, signature string
		for part := range strings.SplitSeq(r.Header.Get("Stripe-Signature"), ",") {
			switch name, value, _ := strings.Cut(part, "="); name {
			case "t":
				at = value
			case "v1":
				signature = value
			}
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(at + "." + string(payload)))
		if want := hex.EncodeToString(mac.Sum(nil)); signature != want {
			t.Errorf("signature is %s, want %s", signature, want)
		}
		var event struct {
			Data struct {
				Object struct {
					Reference string `json:"client_reference_id"`
				}
			}
		}
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Error(err)
		}
		if event.Data.Object.Reference != click {
			t.Errorf("the sale names click %q, want %q", event.Data.Object.Reference, click)
		}
	}))
	defer webhook.Close()

	command := saleCommand(strings.TrimPrefix(edge.URL, "http://"), strings.TrimPrefix(webhook.URL, "http://"),
		"'"+secret+"'", workspace.Region{PublishableKey: "pk_o'neill", Hostname: "tea.example"})
	said, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil || !called || strings.TrimSpace(string(said)) != "200" {
		t.Errorf("the command said %q, %v", said, err)
	}
}

func body(t *testing.T, r *http.Request) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return b
}

func TestPasswordIsNotShown(t *testing.T) {
	for dsn, want := range map[string]string{
		"http://127.0.0.1:8123/tributary":         "http://127.0.0.1:8123/tributary",
		"http://ann:hush@host:8123/tributary":     "http://ann:xxxxx@host:8123/tributary",
		"https://host/tributary?password=hush":    "https://host/tributary?password=xxxxx",
		"clickhouse://ann:hush@host:9000/default": "clickhouse://ann:xxxxx@host:9000/default",
	} {
		if got := withoutPassword(dsn); got != want {
			t.Errorf("%s is shown as %s, want %s", dsn, got, want)
		}
	}
}
