package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tributary/processor/access"
	"tributary/processor/dashboard"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/schemas/loopback"
	"tributary/schemas/program"
)

// dashboardCommands are the dashboard and what its users file needs.
type dashboardCommands struct {
	Serve    serveDashboardCommand `cmd:"" default:"withargs" help:"Serve the page and its API (default)."`
	Password passwordCommand       `cmd:"" help:"Print the hash of a password, for password_hash of the users file."`
	Token    tokenCommand          `cmd:"" help:"Make a bearer token for a program, and its hash for token_hashes of the users file."`
	View     viewCommand           `cmd:"" help:"Make a link that shows one affiliate its own figures."`
}

// signingSettings are the flags of what signs sessions and links, and of what checks them.
type signingSettings struct {
	DashboardURL     string `name:"dashboard-url" help:"Address that people open, as a proxy in front shows it: https://HOST, or http:// with a loopback address." placeholder:"URL"`
	DashboardKey     string `name:"dashboard-key" help:"Key that signs sessions and affiliates' links, at least 16 bytes; a new one ends all of them. Better in a file."`
	DashboardKeyFile string `name:"dashboard-key-file" help:"File that holds --dashboard-key." type:"path" placeholder:"FILE"`
}

// signing returns the public address and the key.
func (s *signingSettings) signing() (public *url.URL, key string, err error) {
	public, err = url.Parse(s.DashboardURL)
	switch {
	case s.DashboardURL == "":
		err = errors.New("dashboard url: none is given " +
			"(hint: --dashboard-url https://stats.example.com, the address that people open)")
	case err == nil:
		err = access.CheckPublic(public)
	}
	key, keyErr := schemas.Secret("dashboard key", s.DashboardKey, s.DashboardKeyFile)
	switch {
	case keyErr == nil && key == "":
		keyErr = errors.New("dashboard key: none is given (hint: --dashboard-key-file FILE, with the key that the " +
			"dashboard runs with; `openssl rand -hex 32` prints a new one)")
	case keyErr == nil:
		if keyErr = schemas.CheckSecret(key); keyErr != nil {
			keyErr = fmt.Errorf("dashboard key: %w", keyErr)
		}
	}
	return public, key, errors.Join(err, keyErr)
}

// serveDashboardCommand serves the dashboard's page and API from ClickHouse.
type serveDashboardCommand struct {
	clickhouseSettings
	workspaceSettings
	signingSettings
	DashboardAddr        string        `help:"Address of the page; without --users loopback only." default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
	OpsAddr              string        `help:"Address of /metrics, /healthz, /readyz and /debug/pprof." default:"127.0.0.1:8095" placeholder:"HOST:PORT"`
	Users                string        `help:"JSON array of users, who see their workspaces after a login; read again on change and on SIGHUP. Without it there is no login, and the page is for this machine only." type:"path" placeholder:"FILE"`
	SessionLife          time.Duration `help:"How long a login is good for." default:"12h"`
	OIDCIssuer           string        `name:"oidc-issuer" help:"OpenID Connect provider that logs users with oidc_email or oidc_subject in; it must know the redirect --dashboard-url with /login/callback." placeholder:"URL"`
	OIDCClientID         string        `name:"oidc-client-id" help:"This program's id at the provider."`
	OIDCClientSecret     string        `name:"oidc-client-secret" help:"This program's secret at the provider. Better in a file."`
	OIDCClientSecretFile string        `name:"oidc-client-secret-file" help:"File that holds --oidc-client-secret." type:"path" placeholder:"FILE"`
	EdgeURL              string        `name:"edge-url" help:"Address of the edge, https://HOST, for the command that a page without clicks shows." placeholder:"URL"`
	TrustedProxies       []string      `placeholder:"CIDR,…" help:"Believe X-Forwarded-For of connections from these networks: logins are limited by address."`
	Check                bool          `help:"Check the configuration and stop."`
	Connect              bool          `help:"With --check: reach ClickHouse, too, and find the tables and the rights of its user."`
}

// Help is shown under --help.
func (c *serveDashboardCommand) Help() string {
	return `The page shows clicks, revenue and affiliates, and why a sale is credited to whom; its API answers
every named question (GET /api/query lists them). It reads ClickHouse only: a user who may only read is enough, and
--clickhouse-dsn must be an http:// one.

Without --users it has no login, and therefore listens on this machine's loopback interface only. From another
machine: ssh -L 8090:127.0.0.1:8090 HOST.`
}

// dashboardConfig is what the flags say.
type dashboardConfig struct {
	workspaces *workspace.File
	users      *access.Users // nil without a login
	access     access.Config // with users
}

// validate turns the flags into a configuration, or returns every fault of all of them.
func (c *serveDashboardCommand) validate() (*dashboardConfig, error) {
	faults := []error{program.CheckAddrs(c.addrs()...), c.checkEdge()}
	if c.Connect && !c.Check {
		faults = append(faults, errConnect)
	}
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	faults = append(faults, err)
	config := &dashboardConfig{workspaces: workspaces}
	if c.Users == "" {
		faults = append(faults, checkLoopback(c.DashboardAddr))
		if c.OIDCIssuer != "" {
			faults = append(faults, errors.New("oidc issuer: nobody can log in without a list of users "+
				"(hint: --users FILE with oidc_email)"))
		}
		return config, errors.Join(faults...)
	}
	users, err := access.ReadUsers(c.Users, known(workspaces))
	public, key, signingErr := c.signing()
	faults = append(faults, err, signingErr)
	config.users = users
	config.access = access.Config{
		Users:       users,
		Public:      public,
		Key:         key,
		SessionLife: c.SessionLife,
		Known:       known(workspaces),
	}
	if c.SessionLife < time.Minute || c.SessionLife > 31*24*time.Hour {
		faults = append(faults, errors.New("session life: it is out of range (hint: 1m to 744h)"))
	}
	proxies, proxiesErr := program.Networks(c.TrustedProxies)
	config.access.TrustedProxies = proxies
	config.access.OIDC, err = c.oidc(users)
	return config, errors.Join(append(faults, proxiesErr, err)...)
}

// edgeURL is an address that is one word of a shell: the page shows a command to paste.
var edgeURL = regexp.MustCompile(`^https?://(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+)(:\d{1,5})?/?$`)

func (c *serveDashboardCommand) checkEdge() error {
	if c.EdgeURL != "" && !edgeURL.MatchString(c.EdgeURL) {
		return errors.New("edge url: this is no address of a host alone (hint: https://clicks.example.com)")
	}
	return nil
}

// addrs are the addresses that are listened on.
func (c *serveDashboardCommand) addrs() []program.Addr {
	return []program.Addr{{Flag: "dashboard addr", Value: c.DashboardAddr}, {Flag: "ops addr", Value: c.OpsAddr}}
}

// oidc returns the OpenID provider, nil without one.
func (c *serveDashboardCommand) oidc(users *access.Users) (*access.OIDC, error) {
	secret, err := schemas.Secret("oidc client secret", c.OIDCClientSecret, c.OIDCClientSecretFile)
	if err != nil {
		return nil, err
	}
	given := c.OIDCIssuer != "" || c.OIDCClientID != "" || secret != ""
	switch {
	case given && (c.OIDCIssuer == "" || c.OIDCClientID == "" || secret == ""):
		return nil, errors.New("oidc: issuer, client id and client secret belong together " +
			"(hint: --oidc-issuer, --oidc-client-id and --oidc-client-secret-file)")
	case !given && users != nil && users.OIDC():
		return nil, errors.New("oidc: a user has oidc_email or oidc_subject, and there is no provider (hint: --oidc-issuer)")
	case !given:
		return nil, nil
	}
	issuer, err := url.Parse(c.OIDCIssuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && !loopback.Host(issuer.Host) {
		return nil, errors.New("oidc issuer: this is no https:// address (hint: https://accounts.example.com)")
	}
	return &access.OIDC{Issuer: c.OIDCIssuer, ClientID: c.OIDCClientID, ClientSecret: secret}, nil
}

// known returns what reports whether there is a workspace.
func known(workspaces *workspace.File) func(string) bool {
	return func(id string) bool {
		return slices.ContainsFunc(workspaces.Regions(), func(r workspace.Region) bool { return r.Workspace == id })
	}
}

// Run serves until ctx ends.
func (c *serveDashboardCommand) Run(ctx context.Context, app *kong.Kong, log *slog.Logger) error {
	config, err := c.validate()
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	registry := program.NewRegistry()
	page, err := config.page(c.ClickhouseDSN, c.EdgeURL, registry, log)
	if err != nil {
		return err
	}
	defer page.Close()
	if c.Check {
		return c.checked(ctx, app.Stdout, page)
	}
	listener, err := net.Listen("tcp", c.DashboardAddr)
	if err != nil {
		return fmt.Errorf("listen for the dashboard: %w (hint: --dashboard-addr chooses another address)", err)
	}
	defer listener.Close()
	operators, err := program.Listen(c.OpsAddr)
	if err != nil {
		return err
	}
	var handler http.Handler = page
	if config.users == nil {
		handler = loopback.Protect(page)
		log.Info("the dashboard is served on loopback only, because it has no login", "address",
			"http://"+listener.Addr().String()+"/")
	} else {
		log.Info("the dashboard is served", "address", listener.Addr().String(), "public", c.DashboardURL)
	}
	reload := func() error { return c.reload(config) }
	reloader := program.NewReloader([]string{c.Workspaces, c.Users}, reload, log, registry)
	ops := program.NewOps(registry, page.Ready, reloader.Warnings, page.Warnings)
	server := loopback.NewServer(handler)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return reloader.Run(ctx) })
	g.Go(func() error { page.LogWarnings(ctx); return nil })
	g.Go(func() error { return ended(server.Serve(listener)) })
	g.Go(func() error { return ended(ops.Serve(operators)) })
	g.Go(func() error {
		<-ctx.Done()
		ops.Stopping()
		page.Stopping()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace) // whoever still reads a page may be cut off
		_ = ops.Shutdown(grace)
		return nil
	})
	return g.Wait()
}

// checked says that the configuration is good, and with --connect which rights ClickHouse's user lacks.
func (c *serveDashboardCommand) checked(ctx context.Context, stdout io.Writer, page *dashboard.Dashboard) error {
	notes, err := program.TryAddrs(c.addrs()...)
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	good := "the configuration is good"
	if c.Connect {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		lacking, err := page.Check(ctx)
		if err != nil {
			return fmt.Errorf("check ClickHouse: %w", err)
		}
		good += ", and ClickHouse has what it needs"
		notes = append(notes, lacking...)
	}
	return program.WriteGood(stdout, "processor dashboard", good, notes)
}

// ended returns nil for the error of a server that was shut down.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// page makes the dashboard, behind a login if there are users.
func (c *dashboardConfig) page(dsn, edge string, registry *prometheus.Registry, log *slog.Logger,
) (*dashboard.Dashboard, error) {
	shown := dashboard.Config{DSN: dsn, Policies: c.workspaces.Policies, Workspaces: c.workspaces.Regions, Log: log}
	if edge != "" {
		shown.ClickURL = strings.TrimSuffix(edge, "/") + "/v1/click"
	}
	if c.users != nil {
		c.access.Log, c.access.Registry = log, registry
		guard, err := access.New(c.access)
		if err != nil {
			return nil, err
		}
		shown.Guard = guard
	}
	return dashboard.New(shown)
}

// reload reads workspaces and users again; either both are replaced or none.
func (c *serveDashboardCommand) reload(config *dashboardConfig) error {
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	if err != nil {
		return err
	}
	if config.users != nil {
		users, err := access.ReadUsers(c.Users, known(workspaces))
		if err != nil {
			return err
		}
		if users.OIDC() && config.access.OIDC == nil {
			return errors.New("a user has oidc_email or oidc_subject, and there is no provider (hint: start with --oidc-issuer)")
		}
		config.users.Replace(users)
	}
	config.workspaces.Replace(workspaces)
	return nil
}

// checkLoopback returns an error unless only this machine can reach an address.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("read --dashboard-addr: %w (hint: give HOST:PORT, like 127.0.0.1:8090)", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--dashboard-addr %s can be reached from other machines, and without --users there is no login "+
			"(hint: give a loopback address like 127.0.0.1:8090, or a file of users)", address)
	}
	return nil
}
