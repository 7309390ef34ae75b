package access

import (
	"net/http"
	"strings"
	"time"

	"tributary/schemas"
)

// maxLoginBytes is more than a name and a password take.
const maxLoginBytes = 4 << 10

func (g *Guard) loginPage(w http.ResponseWriter, r *http.Request) {
	if g.sessions.user(r, g.cfg.Users, g.now()) != nil {
		http.Redirect(w, r, localPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	g.showLogin(w, http.StatusOK, loginView{Next: localPath(r.URL.Query().Get("next"))})
}

// login compares a password. Each attempt is counted before it costs anything.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	if g.fromElsewhere(r) {
		crossSite.Write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBytes)
	if err := r.ParseForm(); err != nil {
		g.showLogin(w, http.StatusBadRequest, loginView{Next: "/", Fault: "The form cannot be read. Try again."})
		return
	}
	v := loginView{Next: localPath(r.PostForm.Get("next")), Name: r.PostForm.Get("name")}
	address := clientAddress(r, g.cfg.TrustedProxies)
	now := g.now()
	if !g.limits.allow("address "+network(address), now) || !g.limits.allow("name "+v.Name, now) {
		g.logins.WithLabelValues("password", "limited").Inc()
		w.Header().Set("Retry-After", "30")
		v.Fault = "There were too many attempts. Try again in half a minute."
		g.showLogin(w, http.StatusTooManyRequests, v)
		return
	}
	u, hash := g.cfg.Users.byName(v.Name), ""
	if u != nil {
		hash = u.PasswordHash
	}
	if err := g.compare.check(r.Context(), hash, r.PostForm.Get("password"), g.cfg.Users.passwordCost()); err != nil {
		g.record(r, "password", "refused", u)
		v.Fault = "There is no such user, or the password is another one."
		g.showLogin(w, http.StatusUnauthorized, v)
		return
	}
	g.startSession(w, r, "password", u, v.Next, now)
}

// startSession begins a session and sends the browser to where it wanted to go.
func (g *Guard) startSession(w http.ResponseWriter, r *http.Request, method string, u *schemas.User, next string,
	now time.Time,
) {
	if err := g.sessions.begin(w, u, now); err != nil {
		g.cfg.Log.Error("a session cannot be signed", "user", u.Name, "error", err)
		g.showLogin(w, http.StatusInternalServerError, loginView{Next: next, Fault: "The session cannot be made."})
		return
	}
	g.sessions.set(w, viewCookie, "", 0) // a link that was opened before does not count beside a login
	g.record(r, method, "done", u)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// record logs and counts an attempt. A name that no user has is not logged: people type passwords
// there by mistake.
func (g *Guard) record(r *http.Request, method, result string, u *schemas.User) {
	g.logins.WithLabelValues(method, result).Inc()
	name := "unknown"
	if u != nil {
		name = u.Name
	}
	g.cfg.Log.Info("login", "user", name, "method", method, "result", result,
		"address", clientAddress(r, g.cfg.TrustedProxies).String())
}

func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	if g.fromElsewhere(r) {
		crossSite.Write(w)
		return
	}
	if u := g.sessions.user(r, g.cfg.Users, g.now()); u != nil {
		g.cfg.Log.Info("logout", "user", u.Name, "address", clientAddress(r, g.cfg.TrustedProxies).String())
	}
	g.sessions.end(w, r, g.now())
	w.Header().Set("Clear-Site-Data", `"cache"`) // figures that the browser keeps to ask whether they changed
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// openView shows an affiliate its figures. The token goes into a cookie, so that it does not stand
// in the addresses of all pages; it is checked with every request.
func (g *Guard) openView(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	shown, ok := g.readView(token)
	if !ok {
		g.logins.WithLabelValues("view", "refused").Inc()
		g.showLogin(w, http.StatusForbidden, loginView{Next: "/",
			Fault: "This link is not valid any more. Ask whoever sent it to you for a new one."})
		return
	}
	g.logins.WithLabelValues("view", "done").Inc()
	g.cfg.Log.Info("affiliate's link opened", "workspace", shown.Workspace, "affiliate", shown.Affiliate, "by", shown.By,
		"address", clientAddress(r, g.cfg.TrustedProxies).String())
	// Who is logged in stays logged in, and sees what the login shows: a link must not log anybody
	// out.
	g.sessions.set(w, viewCookie, token, time.Unix(shown.Expires, 0).Sub(g.now()))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// localPath returns a path of this site to go on at; "/" for anything that a browser might take for
// another site's address.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") ||
		strings.HasPrefix(next, "/login") || strings.HasPrefix(next, "/logout") {
		return "/"
	}
	return next
}
