package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tributary/deploy/process"
)

func TestDashboardListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0", "example.com:0", "127.0.0.1"} {
		err := execute(t.Context(), []string{"dashboard", "--dashboard-addr", address}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "hint: give") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The page shows the address in a command that people paste into a shell.
func TestEdgeURL(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "https://clicks.example.com": true, "https://clicks.example.com/": true,
		"http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://edge_1:8080": true,
		"clicks.example.com": false, "ftp://clicks.example.com": false, "https://": false, "https://:80": false,
		"https://a.example/path": false, "https://a.example?x=1": false, "https://a.example#x": false,
		"https://user:password@a.example": false, "https://a.example;reboot": false, "https://$(reboot)": false,
		"https://a.example/$(reboot)": false, "https://a.example\nreboot": false, "https://'a'": false,
		"https://-a.example --next": false, "javascript://a.example": false,
	} {
		err := (&serveDashboardCommand{EdgeURL: address}).checkEdge()
		if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// serveDashboard runs the command with flags until the test ends, and returns its address.
func serveDashboard(t *testing.T, flags ...string) (address string) {
	t.Helper()
	addresses, err := process.Addresses(1)
	if err != nil {
		t.Fatal(err)
	}
	address = addresses[0]
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	args := append([]string{"dashboard", "--dashboard-addr", address, "--ops-addr", "127.0.0.1:0"}, flags...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "ADDRESS", address)
	}
	go func() { ended <- execute(ctx, args, io.Discard, io.Discard) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get("http://" + address + "/assets/icon.svg"); err == nil {
			answer.Body.Close()
			return address
		}
	}
	t.Fatal("it does not listen")
	return ""
}

// The page is there before the database is.
func TestDashboardServesItsPage(t *testing.T) {
	answer, err := http.Get("http://" + serveDashboard(t) + "/")
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Errorf("the page answers %s", answer.Status)
	}
}

// A token counts from when it stands in the file, until it does not, without a restart. A broken
// file changes nothing.
func TestDashboardReadsUsersAgain(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users.json")
	write := func(text string) {
		if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := execute(t.Context(), []string{"dashboard", "token"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`^token: +(\S+)\ntoken_hashes: ("[0-9a-f]{64}")\n$`).FindStringSubmatch(out.String())
	if made == nil {
		t.Fatalf("%q", out.String())
	}
	file := func(hash string) string {
		return `[{"name":"ci","role":"analyst","workspaces":["default"],"token_hashes":[` + hash + `]}]`
	}
	with, without := file(made[2]), file(`"`+strings.Repeat("0", 64)+`"`)
	write(without)
	address := serveDashboard(t, "--users", users, "--dashboard-url", "http://ADDRESS",
		"--dashboard-key", "0123456789abcdef")
	status := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/session", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+made[1])
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	becomes := func(want int) {
		t.Helper()
		deadline := time.Now().Add(3 * time.Minute)
		for status() != want {
			if time.Now().After(deadline) {
				t.Fatalf("it stays %d, want %d", status(), want)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	becomes(401)
	write(with)
	becomes(200)
	write(`[{"name":"ci"`)
	time.Sleep(3 * time.Second) // longer than the files are left alone
	becomes(200)
	write(without)
	becomes(401)
}

// A person logs in over plain HTTP on this machine, by the password that was made for the hash,
// stays logged in, and logs out.
func TestDashboardLogin(t *testing.T) {
	var printed strings.Builder
	if err := printHash(&printed, nil); err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`^password: +(\S+)\npassword_hash: +(\S+)\n$`).FindStringSubmatch(printed.String())
	if made == nil {
		t.Fatalf("%q", printed.String())
	}
	users := filepath.Join(t.TempDir(), "users.json")
	text := `[{"name":"ada","role":"owner","workspaces":["default"],"password_hash":"` + made[2] + `"}]`
	if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base := "http://" + serveDashboard(t, "--users", users, "--dashboard-url", "http://ADDRESS",
		"--dashboard-key", "0123456789abcdef")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	send := func(method, path string, form url.Values) (status int, at, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", base)
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		read, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, answer.Request.URL.Path, string(read)
	}
	if status, at, body := send("GET", "/", nil); status != 200 || at != "/login" ||
		!strings.Contains(body, `action="/login"`) {
		t.Fatalf("%d at %s: %s", status, at, body)
	}
	login := url.Values{"name": {"ada"}, "password": {made[1]}, "next": {"/api/session"}}
	if status, at, body := send("POST", "/login", login); status != 200 || at != "/api/session" ||
		!strings.Contains(body, `"name":"ada"`) {
		t.Fatalf("%d at %s: %s", status, at, body)
	}
	if status, at, _ := send("GET", "/", nil); status != 200 || at != "/" {
		t.Errorf("logged in: %d at %s", status, at)
	}
	if _, at, _ := send("POST", "/logout", nil); at != "/login" {
		t.Errorf("logged out: at %s", at)
	}
	if status, _, _ := send("GET", "/api/session", nil); status != 401 {
		t.Errorf("after logging out: %d", status)
	}
}

// Every fault of the configuration is named at once, with a hint.
func TestDashboardConfiguration(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users.json")
	ada := `[{"name":"ada","role":"owner","workspaces":["acme"],"oidc_email":"ada@example.com"}]`
	if err := os.WriteFile(users, []byte(ada), 0o600); err != nil {
		t.Fatal(err)
	}
	err := execute(
		t.Context(),
		[]string{"dashboard", "--check", "--users", users, "--dashboard-url", "http://stats.example.com",
			"--dashboard-key", "short", "--session-life", "1s", "--trusted-proxies", "10.0.0.1", "--ops-addr", "nonsense"},
		io.Discard,
		io.Discard,
	)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{`workspace "acme"`, "--dashboard-url https://", "dashboard key", "session life",
		"trusted proxies", "--oidc-issuer", "ops addr"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
	err = execute(t.Context(), []string{"dashboard", "view", "--affiliate", "ann"}, io.Discard, io.Discard)
	for _, want := range []string{"dashboard url: none is given (hint: ", "dashboard key: none is given (hint: "} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("a link without a key: %q is not said:\n%v", want, err)
		}
	}
	var out strings.Builder
	if err := execute(t.Context(), []string{"dashboard", "--check"}, &out, io.Discard); err != nil ||
		!strings.Contains(out.String(), "good") {
		t.Errorf("%v %q", err, out.String())
	}
}

// The password to hash is the first line of standard input. The test of the login has a hash: one
// takes more than two seconds of CPU time under the race detector.
func TestPasswordToHash(t *testing.T) {
	for in, want := range map[string]string{
		"correct horse battery\r\nmore": "correct horse battery", "no end": "no end", "": "",
	} {
		if got, err := firstLine(strings.NewReader(in)); err != nil || got != want {
			t.Errorf("the first line of %q is %q, %v", in, got, err)
		}
	}
	var out strings.Builder
	if err := printHash(&out, strings.NewReader("")); err == nil || out.Len() > 0 {
		t.Errorf("an empty password is taken: %v %q", err, out.String())
	}
}
