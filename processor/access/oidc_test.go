package access

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

// openIDProvider is a small OpenID Connect provider. Whoever comes is logged in as claims say.
type openIDProvider struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	claims map[string]any // of the next ID token, over the right ones
	codes  map[string]url.Values
}

func newOpenIDProvider(t *testing.T) *openIDProvider {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &openIDProvider{t: t, key: key, codes: make(map[string]url.Values)}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.write(
			w,
			map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
				"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}},
		)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.write(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encoding.EncodeToString(key.N.Bytes()), "e": encoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", p.token)
	return p
}

func (p *openIDProvider) write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		p.t.Error(err)
	}
}

// authorize is the provider's page: it returns where the browser is sent back to.
func (p *openIDProvider) authorize(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	asked := u.Query()
	if asked.Get("response_type") != "code" || asked.Get("client_id") != "tributary" ||
		asked.Get("code_challenge_method") != "S256" ||
		!strings.Contains(asked.Get("scope"), "openid") {
		p.t.Errorf("the provider is asked %v", asked)
	}
	code := rand.Text()
	p.codes[code] = asked
	return asked.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {asked.Get("state")}}.Encode()
}

// token exchanges a code, once, for whoever knows the verifier of its challenge.
func (p *openIDProvider) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	asked, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	id, secret, _ := r.BasicAuth()
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || id != "tributary" || secret != "client-secret" ||
		encoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := map[string]any{
		"iss":            p.URL,
		"aud":            "tributary",
		"sub":            "u-1",
		"nonce":          asked.Get("nonce"),
		"email":          "Ben@Example.com",
		"email_verified": true,
		"iat":            time.Now().Unix(),
		"exp":            time.Now().Add(time.Minute).Unix(),
	}
	for name, value := range p.claims {
		claims[name] = value
	}
	head, _ := json.Marshal(map[string]string{"alg": "RS256", "kid": "1"})
	body, _ := json.Marshal(claims)
	text := encoding.EncodeToString(head) + "." + encoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, p.key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	p.write(
		w,
		map[string]any{
			"access_token": "a",
			"token_type":   "Bearer",
			"id_token":     text + "." + encoding.EncodeToString(signature),
		},
	)
}

func TestOpenIDConnect(t *testing.T) {
	p := newOpenIDProvider(t)
	ben := schemas.User{Name: "ben", OIDCEmail: "ben@example.com", Role: Analyst, Workspaces: []string{"acme"}}
	i := install(
		t,
		[]schemas.User{
			ada,
			ben,
			{Name: "cleo", OIDCEmail: "cleo@example.com", OIDCSubject: "u-3", Role: Owner, Workspaces: []string{"bolt"}},
		},
		func(c *Config) { c.OIDC = &OIDC{Issuer: p.URL, ClientID: "tributary", ClientSecret: "client-secret"} },
	)
	if page := text(i.send("GET", "/login", nil, nil, nil)); !strings.Contains(page, "/login/oidc") {
		t.Errorf("the login page does not offer it:\n%s", page)
	}
	// login goes through the provider; change may alter where the browser is sent back to, and its
	// cookies.
	login := func(change func(back string, cookies []*http.Cookie) (string, []*http.Cookie)) *http.Response {
		begun := i.send("GET", "/login/oidc?next=/%3Frange%3D7d", nil, nil, nil)
		if begun.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", begun.StatusCode, text(begun))
		}
		back, cookies := p.authorize(begun.Header.Get("Location")), begun.Cookies()
		if change != nil {
			back, cookies = change(back, cookies)
		}
		return i.send("GET", strings.TrimPrefix(back, public), nil, cookies, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		})
	}
	answer := login(nil)
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/?range=7d" {
		t.Fatalf("%d %s %s", answer.StatusCode, answer.Header.Get("Location"), text(answer))
	}
	if got := text(i.send("GET", "/", nil, answer.Cookies(), nil)); got != "ben analyst" {
		t.Errorf("logged in as %q", got)
	}

	for name, claims := range map[string]map[string]any{
		"a stranger":               {"email": "eve@example.com"},
		"an unverified address":    {"email_verified": false},
		"unverified, as text":      {"email_verified": "false"},
		"an odd word for verified": {"email_verified": 1},
		"capitals for verified":    {"email_verified": "TRUE"},
		"verified in a list":       {"email_verified": []any{true}},
		"verified in an object":    {"email_verified": map[string]any{"true": true}},
		"an address that moved":    {"email": "cleo@example.com", "sub": "u-4"},
		"another audience":         {"aud": "another program"},
		"another issuer":           {"iss": "https://evil.example"},
		"a token that has expired": {"exp": time.Now().Add(-time.Hour).Unix()},
		"another login's token":    {"nonce": "another"},
	} {
		p.claims = claims
		if refused := login(nil); refused.StatusCode != 401 && refused.StatusCode != 403 {
			t.Errorf("%s: %d %v", name, refused.StatusCode, refused.Cookies())
		}
		i.time = i.time.Add(attemptsEvery)
	}
	p.claims = map[string]any{"email_verified": "true"}
	if got := text(i.send("GET", "/", nil, login(nil).Cookies(), nil)); got != "ben analyst" {
		t.Errorf("by an address that is verified in words: %q", got)
	}
	p.claims = map[string]any{"sub": "u-3", "email": "any@example.com"}
	if got := text(i.send("GET", "/", nil, login(nil).Cookies(), nil)); got != "cleo owner" {
		t.Errorf("by the provider's own id: %q", got)
	}
	p.claims = nil
	for name, change := range map[string]func(string, []*http.Cookie) (string, []*http.Cookie){
		"begun in another browser": func(back string, _ []*http.Cookie) (string, []*http.Cookie) { return back, nil },
		"another state": func(back string, c []*http.Cookie) (string, []*http.Cookie) {
			return strings.Replace(back, "state=", "state=x", 1), c
		},
		"no code": func(string, []*http.Cookie) (string, []*http.Cookie) { return public + callbackPath, nil },
		"a wrong code": func(back string, c []*http.Cookie) (string, []*http.Cookie) {
			return strings.Replace(back, "code=", "code=x", 1), c
		},
		"too late": func(back string, c []*http.Cookie) (string, []*http.Cookie) {
			i.time = i.time.Add(loginLife)
			return back, c
		},
	} {
		if refused := login(change); refused.StatusCode != 401 {
			t.Errorf("%s: %d", name, refused.StatusCode)
		}
		i.time = i.time.Add(attemptsEvery)
	}
	changed := ben
	changed.OIDCEmail = "benjamin@example.com"
	i.users.Replace(parse(t, []schemas.User{changed}))
	if again := i.send("GET", "/api/session", nil, answer.Cookies(), nil); again.StatusCode != 401 {
		t.Errorf("a session outlives the address that it was begun with: %d", again.StatusCode)
	}
}

// Of two tabs that log in at once the later one succeeds, whichever comes back first, and after it the
// other one is logged in, too.
func TestTwoTabs(t *testing.T) {
	p := newOpenIDProvider(t)
	i := install(t, []schemas.User{{Name: "ben", OIDCSubject: "u-1", Role: Analyst, Workspaces: []string{"acme"}}},
		func(c *Config) { c.OIDC = &OIDC{Issuer: p.URL, ClientID: "tributary", ClientSecret: "client-secret"} })
	jar := make(map[string]*http.Cookie)
	visit := func(address string) *http.Response {
		t.Helper()
		var cookies []*http.Cookie
		for _, c := range jar {
			cookies = append(cookies, c)
		}
		answer := i.send("GET", strings.TrimPrefix(address, public), nil, cookies, nil)
		for _, c := range answer.Cookies() {
			if jar[c.Name] = c; c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		return answer
	}
	earlier := p.authorize(visit("/login/oidc").Header.Get("Location"))
	later := p.authorize(visit("/login/oidc?next=/%3Frange%3D7d").Header.Get("Location"))
	if answer := visit(earlier); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the earlier tab, before anybody is logged in: %d", answer.StatusCode)
	}
	if answer := visit(later); answer.StatusCode != 303 || answer.Header.Get("Location") != "/?range=7d" {
		t.Errorf("the later tab: %d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	if answer := visit(earlier); answer.StatusCode != 303 || answer.Header.Get("Location") != "/" {
		t.Errorf("the earlier tab, after the later one: %d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	if answer := visit(later); answer.StatusCode != 303 || text(visit("/")) != "ben analyst" {
		t.Errorf("the later tab again: %d", answer.StatusCode)
	}
	delete(jar, "__Host-tributary_session")
	delete(jar, "tributary_session")
	if answer := visit(later); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("an answer of the provider that was used before: %d", answer.StatusCode)
	}
}

// A provider that is away keeps nobody with a password out, and is asked again.
func TestProviderAway(t *testing.T) {
	p := newOpenIDProvider(t)
	address := p.URL
	ready := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ready {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(
			w,
			`{"issuer":"http://%s","authorization_endpoint":"%s/authorize","token_endpoint":"%s/token","jwks_uri":"%s/keys"}`,
			r.Host,
			address,
			address,
			address,
		)
	}))
	t.Cleanup(front.Close)
	i := install(t, []schemas.User{ada, {Name: "ben", OIDCSubject: "u-1", Role: Analyst, Workspaces: []string{"acme"}}},
		func(c *Config) {
			c.OIDC = &OIDC{Issuer: front.URL, ClientID: "tributary", ClientSecret: "client-secret"}
		})
	if answer := i.send("GET", "/login/oidc", nil, nil, nil); answer.StatusCode != http.StatusBadGateway {
		t.Errorf("%d", answer.StatusCode)
	}
	i.logIn(t, "ada", password)
	ready = true
	if answer := i.send("GET", "/login/oidc", nil, nil, nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after it has started: %d", answer.StatusCode)
	}
}
