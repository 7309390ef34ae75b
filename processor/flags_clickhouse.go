package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"

	"tributary/processor/clickhouse"
	"tributary/schemas"
)

// clickhouseSettings are the flags of commands that use ClickHouse.
type clickhouseSettings struct {
	ClickhouseDSN string `name:"clickhouse-dsn" env:"TRIBUTARY_CLICKHOUSE_DSN" help:"ClickHouse, with the database: http://host:8123/tributary or clickhouse://host:9000/tributary." default:"http://127.0.0.1:8123/tributary" placeholder:"DSN"`
	// PasswordFile is for those who must not put a password into the environment.
	PasswordFile string `name:"clickhouse-password-file" help:"File that holds the password of --clickhouse-dsn's user." type:"path" placeholder:"FILE"`
}

// Faults of a DSN repeat nothing of it: it may hold a secret.
var (
	errDSN = errors.New("read --clickhouse-dsn: it names no server and database " +
		"(hint: http://user@host:8123/tributary)")
	errDSNScheme = errors.New("read --clickhouse-dsn: its protocol is not known " +
		"(hint: http://, https:// or clickhouse://; with TLS clickhouse://host:9440/tributary?secure=true)")
	errDSNParameter = errors.New("read --clickhouse-dsn: a parameter behind its ? cannot be read " +
		"(hint: TLS is https:// or clickhouse://…?secure=true, durations are like 5s)")
	errDSNDatabase = errors.New("read --clickhouse-dsn: its database is one of ClickHouse's own, or a path " +
		"(hint: http://user@host:8123/tributary; ?http_path=/path is that of a proxy)")
	errDSNPort = errors.New("read --clickhouse-dsn: a server has no port, or none from 0 to 65535 " +
		"(hint: http://host:8123/tributary or clickhouse://host:9000/tributary)")
)

// AfterApply checks the DSN, gives https:// its TLS, and puts the file's password into it. kong
// calls it when the flags are read. A DSN without a database would be the server's "default", where
// nobody looks for tables.
func (s *clickhouseSettings) AfterApply() error {
	if strings.HasPrefix(s.ClickhouseDSN, "https://") {
		secured, err := withSettings(s.ClickhouseDSN, map[string]string{"secure": "true"})
		if err != nil {
			return errDSN
		}
		s.ClickhouseDSN = secured
	}
	options, err := clickhousego.ParseDSN(s.ClickhouseDSN)
	if err != nil {
		server, _, _ := strings.Cut(strings.Replace(s.ClickhouseDSN, "https://", "http://", 1), "?")
		if _, err := clickhousego.ParseDSN(server); err == nil {
			return errDSNParameter
		}
		return errDSN
	}
	switch name := options.Auth.Database; {
	case name == "":
		return errDSN
	case strings.Contains(name, "/"), strings.EqualFold(name, "system"), strings.EqualFold(name, "information_schema"):
		return errDSNDatabase
	}
	scheme, _, _ := strings.Cut(s.ClickhouseDSN, "://") // the driver takes every other one for its own protocol
	if !slices.Contains([]string{"http", "https", "clickhouse", "tcp"}, scheme) {
		return errDSNScheme
	}
	for _, addr := range options.Addr {
		_, port, err := net.SplitHostPort(addr)
		if err != nil && strings.HasPrefix(scheme, "http") {
			continue // HTTP has ports of its own
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errDSNPort
		}
	}
	password, err := schemas.Secret("clickhouse password", "", s.PasswordFile)
	if err != nil || password == "" {
		return err
	}
	u, err := parseDSN(s.ClickhouseDSN)
	if err != nil {
		return errDSN
	}
	if _, given := u.User.Password(); given || u.User.Username() == "" {
		return errors.New("clickhouse password: --clickhouse-dsn names no user, or has a password itself " +
			"(hint: http://user@host:8123/tributary beside --clickhouse-password-file)")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	s.ClickhouseDSN = u.String()
	return nil
}

// open connects, so that a wrong address is an error at once and is not retried.
func (s *clickhouseSettings) open(ctx context.Context, log *slog.Logger) (*clickhouse.Store, error) {
	return openStore(ctx, s.ClickhouseDSN, log)
}

func openStore(ctx context.Context, dsn string, log *slog.Logger) (*clickhouse.Store, error) {
	store, err := clickhouse.OpenCommand(dsn, log)
	if err != nil {
		return nil, err
	}
	if err := store.Ping(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// inDatabase returns the DSN of another database on the same server.
func inDatabase(dsn, database string) (string, error) {
	u, err := parseDSN(dsn)
	if err != nil {
		return "", fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	query := u.Query()
	query.Del("database")
	u.Path, u.RawQuery = "/"+database, query.Encode()
	return u.String(), nil
}

// severalHosts are the parts of a DSN before, at and after its hosts.
var severalHosts = regexp.MustCompile(`^(\w+://(?:[^/?#]*@)?)([^/?#@]+)(.*)$`)

// parseDSN is url.Parse for the address of one server or of several: of http URLs url.Parse refuses
// a list of hosts with ports.
func parseDSN(dsn string) (*url.URL, error) {
	parts := severalHosts.FindStringSubmatch(dsn)
	if parts == nil {
		return url.Parse(dsn)
	}
	u, err := url.Parse(parts[1] + "hosts" + parts[3])
	if err == nil {
		u.Host = parts[2]
	}
	return u, err
}

// readTimeout is how long a command waits for a query over whole tables. Consumers wait a minute.
const readTimeout = "1h"

// withSettings returns a DSN with settings that it does not have itself.
func withSettings(dsn string, settings map[string]string) (string, error) {
	u, err := parseDSN(dsn)
	if err != nil {
		return "", fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	query := u.Query()
	for name, value := range settings {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
