package access

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	_ "embed"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tributary/processor/query"
	"tributary/schemas/loopback"
)

// Config says who may come in, and how.
type Config struct {
	Users *Users
	// Public is the address that people open: https, or http on this machine. Requests for another
	// host are refused.
	Public *url.URL
	// Key signs sessions and links. A new one ends all of them.
	Key         string
	SessionLife time.Duration
	// OIDC is the provider; nil: passwords only.
	OIDC *OIDC
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Known reports whether there is a workspace.
	Known    func(workspace string) bool
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Guard lets requests through that somebody may send, and says who it is.
type Guard struct {
	cfg      Config
	origin   string
	sessions *sessions
	views    *Views
	oidc     *provider // nil without one
	compare  passwords
	limits   *limits
	logins   *prometheus.CounterVec
	now      func() time.Time
	own      *http.ServeMux // the pages that need no login
}

// CheckPublic returns why an address cannot be the public one.
func CheckPublic(public *url.URL) error {
	plain := public.Scheme == "http" && loopback.Host(public.Host)
	if port := public.Port(); port == "443" && public.Scheme == "https" || port == "80" && public.Scheme == "http" {
		return errors.New("the public address has the port that browsers leave out (hint: leave it out of --dashboard-url)")
	}
	if public.Host == "" || public.Scheme != "https" && !plain || strings.Trim(public.Path, "/") != "" ||
		public.RawQuery != "" || public.User != nil {
		return errors.New("the public address is https://HOST without a path, or http:// with a loopback address " +
			"(hint: --dashboard-url https://stats.example.com)")
	}
	return nil
}

// New checks the configuration. It does not ask the provider.
func New(cfg Config) (*Guard, error) {
	if err := CheckPublic(cfg.Public); err != nil {
		return nil, err
	}
	signs, err := newSigner(cfg.Key, "session")
	if err != nil {
		return nil, err
	}
	views, err := NewViews(cfg.Key, cfg.Public)
	if err != nil {
		return nil, err
	}
	g := &Guard{
		cfg: cfg, origin: cfg.Public.Scheme + "://" + strings.ToLower(cfg.Public.Host), views: views,
		sessions: &sessions{signer: signs, life: cfg.SessionLife, secure: cfg.Public.Scheme == "https",
			ended: make(map[string]int64)},
		compare: make(passwords, maxComparing), limits: newLimits(), now: time.Now, own: http.NewServeMux(),
		logins: promauto.With(cfg.Registry).NewCounterVec(prometheus.CounterOpts{
			Name: "dashboard_logins_total",
			Help: "Attempts to log in to the dashboard, by password, OpenID Connect or an affiliate's link."},
			[]string{"method", "result"}),
	}
	for _, method := range []string{"password", "oidc", "view"} {
		for _, result := range []string{"done", "refused", "limited"} {
			g.logins.WithLabelValues(method, result) // shown before it happens
		}
	}
	if cfg.OIDC != nil {
		logins, err := newSigner(cfg.Key, "login")
		if err != nil {
			return nil, err
		}
		g.oidc = newProvider(*cfg.OIDC, cfg.Public, logins)
	}
	g.own.HandleFunc("GET /login", g.loginPage)
	g.own.HandleFunc("POST /login", g.login)
	g.own.HandleFunc("POST /logout", g.logout)
	g.own.HandleFunc("GET /login/oidc", g.loginOIDC)
	g.own.HandleFunc("GET "+callbackPath, g.loginCallback)
	g.own.HandleFunc("GET "+viewTokenPath+"{token}", g.openView)
	return g, nil
}

// Views makes links for affiliates.
func (g *Guard) Views() *Views { return g.views }

// Protect passes requests to next with a [Caller] in their context, and answers those that nobody
// may send. The files under /assets/ are everybody's.
func (g *Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Host, g.cfg.Public.Host) {
			fault(http.StatusForbidden, "bad_host", "This is not the address of the dashboard.",
				"Open "+g.origin+"; a proxy must pass the Host header on.").Write(w)
			return
		}
		if g.sessions.secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		if _, pattern := g.own.Handler(r); pattern != "" {
			g.own.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			next.ServeHTTP(w, r)
			return
		}
		caller, err := g.caller(r)
		switch {
		case err != nil:
			w.Header().Set("WWW-Authenticate", `Bearer realm="tributary", error="invalid_token"`)
			err.Write(w)
		case caller == nil:
			g.askToLogIn(w, r)
		case caller.Session && g.fromElsewhere(r):
			crossSite.Write(w)
		default:
			next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), caller)))
		}
	})
}

func fault(status int, code, message, hint string) *query.Fault {
	return &query.Fault{Status: status, Code: code, Message: message, Hint: hint}
}

var crossSite = fault(http.StatusForbidden, "cross_site", "Requests that another web site causes are refused.",
	"Open the dashboard itself; programs use a bearer token.")

// caller returns who sends a request, nil for nobody. A token that is not known is an error: a
// program must not fall back to whoever is logged in.
func (g *Guard) caller(r *http.Request) (*Caller, *query.Fault) {
	if given := r.Header.Get("Authorization"); given != "" {
		token, ok := strings.CutPrefix(given, "Bearer ")
		if u := g.cfg.Users.byToken(strings.TrimSpace(token)); ok && u != nil {
			return callerOf(u, false), nil
		}
		return nil, fault(http.StatusUnauthorized, "unknown_token", "This bearer token is not known.",
			"processor dashboard token makes one; its hash stands in token_hashes of the users file.")
	}
	if u := g.sessions.user(r, g.cfg.Users, g.now()); u != nil {
		return callerOf(u, true), nil
	}
	if shown, ok := g.readView(g.sessions.cookie(r, viewCookie)); ok {
		return &Caller{Name: "view of " + shown.Affiliate, Role: Affiliate, Affiliate: shown.Affiliate,
			Key: "view " + shown.Workspace + "\x00" + shown.Affiliate, Session: true, workspaces: []string{shown.Workspace}}, nil
	}
	return nil, nil
}

// readView returns what a link shows, and false if it is void: also when its workspace is gone, or
// the owner who made it may not do so any more.
func (g *Guard) readView(token string) (view, bool) {
	shown, ok := g.views.read(token, g.now())
	if !ok || !g.cfg.Known(shown.Workspace) {
		return view{}, false
	}
	if shown.By != "" {
		by := g.cfg.Users.byName(shown.By)
		if by == nil || by.Role != Owner || !callerOf(by, false).May(shown.Workspace) {
			return view{}, false
		}
	}
	return shown, true
}

// fromElsewhere reports whether a page of another site may have caused a request that carries a
// cookie. What changes something must say where it is from, as all browsers do; what reads may be a
// page that somebody opens by a link, and nothing else.
func (g *Guard) fromElsewhere(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if origin != "" && !strings.EqualFold(origin, g.origin) {
		return true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return site != "same-origin" && (site != "" || origin == "")
	}
	opened := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" &&
		!strings.HasPrefix(r.URL.Path, "/api/")
	return site != "" && site != "same-origin" && site != "none" && !opened
}

// askToLogIn sends people to the login page, and answers programs with what is missing.
func (g *Guard) askToLogIn(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/mcp" {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="tributary"`)
	fault(http.StatusUnauthorized, "login_required", "Nobody is logged in.",
		"Log in at /login, or send Authorization: Bearer and a token of the users file.").Write(w)
}

//go:embed login.html
var loginHTML string

var loginTemplate = template.Must(template.New("login").Parse(loginHTML))

// loginView is what the login page shows.
type loginView struct {
	Next, Name, Fault string
	OIDC              bool
}

func (g *Guard) showLogin(w http.ResponseWriter, status int, v loginView) {
	v.OIDC = g.oidc != nil && g.cfg.Users.OIDC()
	var page strings.Builder
	if err := loginTemplate.Execute(&page, v); err != nil {
		g.cfg.Log.Error("the login page cannot be written", "error", err)
		http.Error(w, "The page cannot be written; the reason is in this program's log.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprint(w, page.String()) // the client may have gone
}
