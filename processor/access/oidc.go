package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	callbackPath    = "/login/callback"
	providerTimeout = 10 * time.Second
	loginLife       = 10 * time.Minute // from the button to the provider's answer
)

// OIDC is an OpenID Connect provider, and the client under which this program is registered there.
// The provider must allow redirects to the public address with /login/callback.
type OIDC struct {
	Issuer, ClientID, ClientSecret string
}

// provider logs people in by OpenID Connect: authorization code flow with PKCE.
type provider struct {
	cfg      OIDC
	redirect string
	signer   *signer
	client   *http.Client

	mu    sync.Mutex // guards found
	found *oidc.Provider
}

func newProvider(cfg OIDC, public *url.URL, s *signer) *provider {
	return &provider{cfg: cfg, redirect: strings.TrimSuffix(public.String(), "/") + callbackPath, signer: s,
		client: &http.Client{Timeout: providerTimeout}}
}

// discover asks the provider for its addresses, once. One that cannot be reached is asked again by
// the next login, and keeps nobody with a password out.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// The provider's keys are fetched with this context later on: it must not end with the request.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
		if err != nil {
			return nil, oauth2.Config{}, fmt.Errorf("ask the OpenID provider for its addresses: %w "+
				"(hint: --oidc-issuer is its address without /.well-known)", err)
		}
		p.found = found
	}
	return p.found, oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret,
		Endpoint: p.found.Endpoint(), RedirectURL: p.redirect, Scopes: []string{oidc.ScopeOpenID, "email"}}, nil
}

// attempt is a login that has begun, kept in the browser's cookie: the answer must come to the
// browser that began it.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"p"`
	Expires  int64  `json:"e"` // Unix seconds
}

func (g *Guard) loginOIDC(w http.ResponseWriter, r *http.Request) {
	if g.oidc == nil {
		http.NotFound(w, r)
		return
	}
	if !g.limits.allow("address "+network(clientAddress(r, g.cfg.TrustedProxies)), g.now()) {
		g.logins.WithLabelValues("oidc", "limited").Inc()
		w.Header().Set("Retry-After", "30")
		g.showLogin(w, http.StatusTooManyRequests, loginView{Next: "/",
			Fault: "There were too many attempts. Try again in half a minute."})
		return
	}
	_, config, err := g.oidc.discover(r.Context())
	if err != nil {
		g.cfg.Log.Error("login by OpenID Connect", "error", err)
		g.showLogin(w, http.StatusBadGateway, loginView{Next: "/", Fault: "The login provider does not answer."})
		return
	}
	a := attempt{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), localPath(r.URL.Query().Get("next")),
		g.now().Add(loginLife).Unix()}
	value, err := g.oidc.signer.sign(a)
	if err != nil {
		g.cfg.Log.Error("login by OpenID Connect", "error", err)
		g.showLogin(w, http.StatusInternalServerError, loginView{Next: "/", Fault: "The login cannot be begun."})
		return
	}
	g.sessions.set(w, loginCookie, value, loginLife)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)),
		http.StatusSeeOther)
}

// loginCallback is where the provider sends the browser back to.
func (g *Guard) loginCallback(w http.ResponseWriter, r *http.Request) {
	if g.oidc == nil {
		http.NotFound(w, r)
		return
	}
	var a attempt
	given := r.URL.Query()
	begun := g.oidc.signer.open(g.sessions.cookie(r, loginCookie), &a) && g.now().Unix() < a.Expires &&
		subtle.ConstantTimeCompare([]byte(given.Get("state")), []byte(a.State)) == 1
	if !begun && g.sessions.user(r, g.cfg.Users, g.now()) != nil { // by another tab, which began later
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if begun { // of another tab, it is still to be answered
		g.sessions.set(w, loginCookie, "", 0)
	}
	if !begun || given.Get("code") == "" {
		g.record(r, "oidc", "refused", nil)
		g.showLogin(w, http.StatusUnauthorized, loginView{Next: localPath(a.Next),
			Fault: "The login took too long, was begun elsewhere, or was cancelled. Try again."})
		return
	}
	subject, email, err := g.oidc.identify(r.Context(), given.Get("code"), a)
	if err != nil {
		g.cfg.Log.Warn("login by OpenID Connect", "error", err)
		g.record(r, "oidc", "refused", nil)
		g.showLogin(w, http.StatusUnauthorized, loginView{Next: a.Next, Fault: "The provider's answer cannot be verified."})
		return
	}
	u := g.cfg.Users.byOIDC(subject, email)
	if u == nil {
		g.record(r, "oidc", "refused", nil)
		g.showLogin(w, http.StatusForbidden, loginView{Next: a.Next,
			Fault: "You are logged in at the provider, and are no user of this dashboard. Ask its owner to add you."})
		return
	}
	g.startSession(w, r, "oidc", u, a.Next, g.now())
}

// identify returns who the provider says has logged in. The address is empty unless it is verified.
func (p *provider) identify(ctx context.Context, code string, a attempt) (subject, email string, err error) {
	found, config, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), providerTimeout)
	defer cancel()
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return "", "", fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", "", fmt.Errorf("verify the ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return "", "", errors.New("the ID token was made for another login")
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some providers, Apple among them, write "true"
	}
	if err := id.Claims(&claims); err != nil {
		return "", "", fmt.Errorf("read the ID token: %w", err)
	}
	if claims.Verified == true || claims.Verified == "true" {
		email = strings.ToLower(claims.Email)
	}
	return id.Subject, email, nil
}
