package access

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/crypto/bcrypt"

	"tributary/schemas"
)

const (
	public   = "https://stats.example.com"
	key      = "a key that signs in tests"
	password = "correct horse battery"
)

// hash is cheap: these tests do not measure how long guessing takes.
var hash = func() string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
}()

// installation is a guard before a page that says who has come.
type installation struct {
	*Guard
	users   *Users
	handler http.Handler
	time    time.Time
	log     strings.Builder
}

func install(t *testing.T, list []schemas.User, change func(*Config)) *installation {
	t.Helper()
	i := &installation{time: time.Now()}
	i.users = parse(t, list)
	address, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Users: i.users, Public: address, Key: key, SessionLife: time.Hour, Known: knownWorkspace,
		Log: slog.New(slog.NewTextHandler(&i.log, nil)), Registry: prometheus.NewRegistry()}
	if change != nil {
		change(&cfg)
	}
	if i.Guard, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	i.now = func() time.Time { return i.time }
	i.handler = i.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := FromContext(r.Context()); c != nil {
			_, _ = io.WriteString(w, c.Name+" "+c.Role)
		}
	}))
	return i
}

func knownWorkspace(id string) bool { return id == "acme" || id == "bolt" }

func parse(t *testing.T, list []schemas.User) *Users {
	t.Helper()
	users, err := newUsers(list, knownWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	return users
}

var ada = schemas.User{Name: "ada", PasswordHash: hash, Role: Owner, Workspaces: []string{"acme"}}

// send sends a request as a browser of the dashboard's own page does; change makes it another one.
func (i *installation) send(
	method, target string,
	form url.Values,
	cookies []*http.Cookie,
	change func(*http.Request),
) *http.Response {
	r := httptest.NewRequest(method, public+target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range cookies {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	i.handler.ServeHTTP(w, r)
	return w.Result()
}

func text(response *http.Response) string {
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

func (i *installation) logIn(t *testing.T, name, secret string) []*http.Cookie {
	t.Helper()
	answer := i.send("POST", "/login", url.Values{"name": {name}, "password": {secret}}, nil, nil)
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("login of %s: %d %s", name, answer.StatusCode, text(answer))
	}
	return answer.Cookies()
}

func TestLogin(t *testing.T) {
	i := install(t, []schemas.User{ada}, nil)
	if answer := i.send("GET", "/?range=7d", nil, nil, nil); answer.StatusCode != 303 ||
		answer.Header.Get("Location") != "/login?next=%2F%3Frange%3D7d" {
		t.Errorf("a page without login: %d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	if answer := i.send("GET", "/api/query", nil, nil, nil); answer.StatusCode != 401 ||
		!strings.Contains(text(answer), `"login_required"`) {
		t.Errorf("the API without login: %d", answer.StatusCode)
	}
	if answer := i.send("GET", "/assets/style.css", nil, nil, nil); answer.StatusCode != 200 || text(answer) != "" {
		t.Errorf("files of the page: %d", answer.StatusCode)
	}
	for _, wrong := range []url.Values{
		{"name": {"ada"}, "password": {"another one"}}, {"name": {"eve"}, "password": {password}}, {"name": {"ada"}}, {},
	} {
		answer := i.send("POST", "/login", wrong, nil, nil)
		if answer.StatusCode != 401 || len(answer.Cookies()) != 0 {
			t.Errorf("%v: %d %v", wrong, answer.StatusCode, answer.Cookies())
		}
	}
	answer := i.send(
		"POST",
		"/login",
		url.Values{"name": {"ada"}, "password": {password}, "next": {"/?range=7d"}},
		nil,
		nil,
	)
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/?range=7d" {
		t.Fatalf("%d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	cookie := answer.Cookies()[0]
	if cookie.Name != "__Host-tributary_session" || !cookie.HttpOnly || !cookie.Secure ||
		cookie.SameSite != http.SameSiteLaxMode ||
		cookie.Path != "/" ||
		cookie.MaxAge != 3600 {
		t.Errorf("the cookie is %v", cookie)
	}
	if got := text(i.send("GET", "/", nil, answer.Cookies(), nil)); got != "ada owner" {
		t.Errorf("with a session: %q", got)
	}
	if strings.Contains(i.log.String(), "user=eve") || strings.Contains(i.log.String(), password) ||
		strings.Count(i.log.String(), "msg=login") != 5 {
		t.Errorf("the audit of logins:\n%s", i.log.String())
	}
	if n := testutil.ToFloat64(i.logins.WithLabelValues("password", "refused")); n != 4 {
		t.Errorf("refused logins are counted as %v", n)
	}
}

// A session ends by time, by logging out, by a new password, and when its user is gone.
func TestSessionEnds(t *testing.T) {
	in := func(i *installation, cookies []*http.Cookie) bool {
		return i.send("GET", "/api/session", nil, cookies, nil).StatusCode == http.StatusOK
	}
	i := install(t, []schemas.User{ada}, nil)
	cookies := i.logIn(t, "ada", password)
	i.time = i.time.Add(time.Hour - time.Second)
	if !in(i, cookies) {
		t.Error("it ended too early")
	}
	if i.time = i.time.Add(time.Second); in(i, cookies) {
		t.Error("it lives too long")
	}

	cookies = i.logIn(t, "ada", password)
	answer := i.send("POST", "/logout", nil, cookies, nil)
	if answer.StatusCode != 303 || answer.Header.Get("Clear-Site-Data") != `"cache"` {
		t.Errorf("logout: %d", answer.StatusCode)
	}
	if in(i, cookies) {
		t.Error("a copy of the cookie outlives the logout")
	}

	cookies = i.logIn(t, "ada", password)
	renamed := ada
	renamed.Role = Analyst
	i.users.Replace(parse(t, []schemas.User{renamed}))
	if got := text(i.send("GET", "/", nil, cookies, nil)); got != "ada analyst" {
		t.Errorf("after a change of role: %q", got)
	}
	changed := ada
	other, _ := bcrypt.GenerateFromPassword([]byte("a new one"), bcrypt.MinCost)
	changed.PasswordHash = string(other)
	i.users.Replace(parse(t, []schemas.User{changed}))
	if in(i, cookies) {
		t.Error("it outlives the password")
	}
	i.users.Replace(parse(t, []schemas.User{ada}))
	if !in(i, cookies) {
		t.Error("the old password's session is not known any more")
	}
	i.users.Replace(parse(t, []schemas.User{{Name: "ben", PasswordHash: hash, Role: Owner, Workspaces: []string{"acme"}}}))
	if in(i, cookies) {
		t.Error("it outlives its user")
	}
}

// Whatever is changed in a signed value, or signed with another key or for another purpose, is
// nobody's.
func TestForgedCookies(t *testing.T) {
	i := install(t, []schemas.User{ada}, nil)
	good := i.logIn(t, "ada", password)[0]
	stranger := install(t, []schemas.User{ada}, func(c *Config) { c.Key = "another key for signing" })
	view, err := i.views.Link("acme", "lena", "", i.time, i.time.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimPrefix(view, public+"/view/")
	for name, value := range map[string]string{
		"empty": "", "no signature": strings.Split(good.Value, ".")[0], "empty signature": strings.Split(good.Value, ".")[0] +
			".",
		"another body": encoding.EncodeToString([]byte(`{"u":"ada","e":99999999999}`)) + "." +
			strings.Split(good.Value, ".")[1],
		"another key":      stranger.logIn(t, "ada", password)[0].Value,
		"another purpose":  token,
		"too long":         good.Value + strings.Repeat("A", maxSigned),
		"without encoding": "{}.{}",
	} {
		cookie := *good
		cookie.Value = value
		if answer := i.send("GET", "/api/session", nil, []*http.Cookie{&cookie}, nil); answer.StatusCode != 401 {
			t.Errorf("%s: %d", name, answer.StatusCode)
		}
	}
	cookie := &http.Cookie{Name: "tributary_session", Value: good.Value}
	if answer := i.send("GET", "/api/session", nil, []*http.Cookie{cookie}, nil); answer.StatusCode != 401 {
		t.Errorf("a cookie that any subdomain can set: %d", answer.StatusCode)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	i := install(t, []schemas.User{ada}, nil)
	try := func(name, address, secret string) int {
		return i.send("POST", "/login", url.Values{"name": {name}, "password": {secret}}, nil, func(r *http.Request) {
			r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1234).String()
		}).StatusCode
	}
	for n := range attempts {
		if got := try("ada", "2001:db8::"+string(rune('1'+n%9)), "wrong"); got != 401 {
			t.Fatalf("attempt %d: %d", n, got)
		}
	}
	if got := try("eve", "2001:db8::ffff", "wrong"); got != 429 {
		t.Errorf("another address of the same network: %d", got)
	}
	if got := try("ada", "192.0.2.1", password); got != 429 {
		t.Errorf("the same name from elsewhere: %d", got)
	}
	if got := try("ben", "192.0.2.1", "wrong"); got != 401 {
		t.Errorf("another name from elsewhere: %d", got)
	}
	i.time = i.time.Add(attemptsEvery)
	if got := try("ada", "192.0.2.1", password); got != 303 {
		t.Errorf("half a minute later: %d", got)
	}
	l := newLimits()
	for n := range maxLimiters + 10 {
		l.allow(string(rune(n+1000)), i.time)
	}
	if len(l.byID) > maxLimiters {
		t.Errorf("%d limiters are kept", len(l.byID))
	}
	l.allow("x", i.time.Add(time.Hour))
	if len(l.byID) > 1 {
		t.Errorf("%d limiters of people who have not tried for an hour are kept", len(l.byID))
	}
	l, allowed := newLimits(), 0
	for range attempts {
		for _, at := range []time.Time{i.time, i.time.Add(-attemptsEvery)} { // not in the order in which they were taken
			if l.allow("x", at) {
				allowed++
			}
		}
	}
	if allowed != attempts {
		t.Errorf("%d attempts whose times go back are allowed, want %d", allowed, attempts)
	}
}

// What another site's page can make a browser send is refused, and what a link opens is not.
func TestCrossSite(t *testing.T) {
	i := install(t, []schemas.User{ada, {Name: "ci", TokenHashes: []string{TokenHash("trib_ci")}, Role: Analyst,
		Workspaces: []string{"acme"}}}, nil)
	cookies := i.logIn(t, "ada", password)
	headers := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			for n := 0; n < len(pairs); n += 2 {
				r.Header.Set(pairs[n], pairs[n+1])
			}
		}
	}
	login := url.Values{"name": {"ada"}, "password": {password}}
	for _, c := range []struct {
		method, target string
		form           url.Values
		change         func(*http.Request)
		want           int
	}{
		{"GET", "/", nil, headers(), 200},
		{"GET", "/", nil, headers("Sec-Fetch-Site", "none"), 200},
		{"GET", "/", nil, headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"),
			200},
		{"GET", "/", nil, headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"),
			403},
		{"GET", "/api/query", nil, headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), 403},
		{"GET", "/api/query", nil, headers("Sec-Fetch-Site", "same-site"), 403},
		{"GET", "/api/query", nil, headers("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate",
			"Sec-Fetch-Dest", "document"), 403},
		{"GET", "/api/query", nil, headers("Origin", "https://evil.example"), 403},
		{"GET", "/api/query", nil, headers("Origin", "null"), 403},
		{"POST", "/api/views", nil, headers(), 403},
		{"POST", "/api/views", nil, headers("Sec-Fetch-Site", "none"), 403},
		{"POST", "/api/views", nil, headers("Sec-Fetch-Site", "cross-site"), 403},
		{"POST", "/api/views", nil, headers("Origin", "https://evil.example"), 403},
		{"POST", "/api/views", nil, headers("Origin", "https://stats.example.com.evil.example"), 403},
		{"POST", "/api/views", nil, headers("Origin", public), 200},
		{"POST", "/api/views", nil, headers("Sec-Fetch-Site", "same-origin"), 200},
		{"POST", "/mcp", nil, headers(), 403},
		{"POST", "/login", login, headers(), 403},
		{"POST", "/login", login, headers("Origin", "https://evil.example"), 403},
		{"POST", "/login", login, headers("Origin", public), 303},
		{"POST", "/logout", nil, headers("Origin", "https://evil.example"), 403},
		{"GET", "/logout", nil, headers(), 200}, // not a logout: only POST is
	} {
		answer := i.send(c.method, c.target, c.form, cookies, c.change)
		if answer.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.target, answer.StatusCode, c.want, text(answer))
		}
	}
	for token, want := range map[string]int{"Bearer trib_ci": 200, "Bearer trib_xx": 401, "Bearer ": 401,
		"Basic YWRhOng=": 401, "trib_ci": 401} {
		answer := i.send("POST", "/mcp", nil, cookies, headers("Authorization", token))
		if answer.StatusCode != want || want == 200 && text(answer) != "ci analyst" {
			t.Errorf("%s: %d", token, answer.StatusCode)
		}
	}
	for host, want := range map[string]int{"stats.example.com": 200, "STATS.example.com": 200,
		"stats.example.com:443": 403,
		"evil.example":          403, "127.0.0.1": 403, "": 403} {
		answer := i.send("GET", "/", nil, cookies, func(r *http.Request) { r.Host = host })
		if answer.StatusCode != want {
			t.Errorf("Host %q: %d", host, answer.StatusCode)
		}
	}
}

func TestNextStaysHere(t *testing.T) {
	for next, want := range map[string]string{
		"": "/", "/": "/", "/?range=7d#top": "/?range=7d#top", "/explain?object=pi_1": "/explain?object=pi_1",
		"//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "javascript:alert(1)": "/",
		"/\t/evil.example": "/", "/a\r\nSet-Cookie: x": "/", "/login?next=/": "/", "/logout": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

// A link shows one affiliate, until it expires, its key changes, or its maker may not make it.
func TestViews(t *testing.T) {
	i := install(t, []schemas.User{ada}, nil)
	link := func(workspace, affiliate, by string, life time.Duration) string {
		l, err := i.Views().Link(workspace, affiliate, by, i.time, i.time.Add(life))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(l, public)
	}
	open := func(i *installation, link string) string {
		answer := i.send("GET", link, nil, nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		if answer.StatusCode != http.StatusSeeOther {
			return answer.Status
		}
		return text(i.send("GET", "/", nil, answer.Cookies(), nil))
	}
	good := link("acme", "lena", "ada", time.Hour)
	if got := open(i, good); got != "view of lena affiliate" {
		t.Errorf("%q", got)
	}
	command := link("acme", "lena", "", time.Hour)
	for name, other := range map[string]string{
		"of an unknown workspace": link("gone", "lena", "", time.Hour),
		"of another's workspace":  link("bolt", "lena", "ada", time.Hour),
		"by a stranger":           link("acme", "lena", "eve", time.Hour), "cut off": good[:len(good)-1],
	} {
		if got := open(i, other); got != "403 Forbidden" {
			t.Errorf("a link %s: %q", name, got)
		}
	}
	own := i.logIn(t, "ada", password)
	both := slices.Concat(own, i.send("GET", good, nil, own, nil).Cookies())
	if got := text(i.send("GET", "/", nil, both, nil)); got != "ada owner" {
		t.Errorf("a link logs out who is logged in: %q", got)
	}
	cookies := i.send("GET", good, nil, nil, nil).Cookies()
	analyst := ada
	analyst.Role = Analyst
	i.users.Replace(parse(t, []schemas.User{analyst}))
	if got := open(i, good); got != "403 Forbidden" {
		t.Errorf("its maker is no owner any more: %q", got)
	}
	if answer := i.send("GET", "/api/query", nil, cookies, nil); answer.StatusCode != 401 {
		t.Errorf("one that was opened before: %d", answer.StatusCode)
	}
	if got := open(i, command); got != "view of lena affiliate" {
		t.Errorf("the command's: %q", got)
	}
	next := install(t, []schemas.User{ada}, func(c *Config) { c.Key = "the next key for signing" })
	if got := open(next, command); got != "403 Forbidden" {
		t.Errorf("after the key has changed: %q", got)
	}
	i.time = i.time.Add(time.Hour)
	if got := open(i, command); got != "403 Forbidden" {
		t.Errorf("after its time: %q", got)
	}
	for _, life := range []time.Duration{0, -time.Hour, 367 * 24 * time.Hour} {
		if _, err := i.Views().Link("acme", "lena", "", i.time, i.time.Add(life)); err == nil {
			t.Errorf("a link for %s is made", life)
		}
	}
	if _, err := i.Views().Link("acme", "", "", i.time, i.time.Add(time.Hour)); err == nil {
		t.Error("a link for nobody is made")
	}
}

func TestPublicAddress(t *testing.T) {
	for address, good := range map[string]bool{
		"https://stats.example.com:443": false, "http://127.0.0.1:80": false, "https://stats.example.com:8443": true,
		"https://stats.example.com": true, "https://stats.example.com/": true,
		"http://127.0.0.1:8090": true, "http://localhost:8090": true,
		"http://stats.example.com": false, "https://stats.example.com/x": false, "https://a:b@stats.example.com": false,
		"stats.example.com": false, "": false, "https://": false, "ftp://stats.example.com": false,
	} {
		u, err := url.Parse(address)
		if err == nil {
			err = CheckPublic(u)
		}
		if (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "198.51.100.7", "192.0.2.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"},
		{"10.0.0.1:1", "203.0.113.9, nonsense", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "2001:db8::1", "2001:db8::1"},
		{"10.0.0.1:1", "198.51.100.7:4711", "198.51.100.7"},
		{"10.0.0.1:1", "[2001:db8::1]:4711, 10.0.0.2:80", "2001:db8::1"},
		{"10.0.0.1:1", "64:ff9b::198.51.100.7", "198.51.100.7"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientAddress(r, trusted).String(); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

// That what it makes of others lets somebody log in is shown by the program's tests.
func TestHashPasswordRefuses(t *testing.T) {
	for _, bad := range []string{"", "short", "123456789", strings.Repeat("x", 73)} {
		if _, err := HashPassword(bad); err == nil || !strings.Contains(err.Error(), "than") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A name that no user has, or a user without a password, is answered by the work of the costliest
// hash: the users file takes costs from 10 to 14.
func TestEveryNameTakesAsLong(t *testing.T) {
	cheap, err := bcrypt.GenerateFromPassword([]byte(password), 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, []schemas.User{ada}).passwordCost(); got != bcrypt.MinCost {
		t.Errorf("of one hash of cost %d the greatest cost is %d", bcrypt.MinCost, got)
	}
	ben := schemas.User{Name: "ben", PasswordHash: string(cheap), Role: Owner, Workspaces: []string{"acme"}}
	if got := parse(t, []schemas.User{ada, ben}).passwordCost(); got != 5 {
		t.Errorf("of hashes of cost %d and 5 the greatest cost is %d", bcrypt.MinCost, got)
	}
	lea := schemas.User{Name: "lea", OIDCEmail: "lea@example.com", Role: Owner, Workspaces: []string{"acme"}}
	if got := parse(t, []schemas.User{lea}).passwordCost(); got != passwordCost {
		t.Errorf("without a password's hash the greatest cost is %d, want %d", got, passwordCost)
	}
	// What stands in is compared, and not refused as malformed.
	if err := bcrypt.CompareHashAndPassword([]byte(nobodysHash(5)), []byte(password)); !errors.Is(err,
		bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("the hash that stands in: %v", err)
	}
	for _, hash := range []string{"", string(cheap)} {
		if make(passwords, 1).check(t.Context(), hash, "nobody can log in with this", 6) == nil {
			t.Errorf("the hash %q is nobody's password's", hash)
		}
	}
	if err := make(passwords, 1).check(t.Context(), string(cheap), password, 6); err != nil {
		t.Errorf("the right password of a cheaper hash: %v", err)
	}
}
