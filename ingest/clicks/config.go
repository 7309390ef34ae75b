package clicks

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/ingest/geo"
	"tributary/schemas"
)

// Config is what the edge needs to know. Start from Default.
type Config struct {
	Workspaces *Directory // who may send; nil: one workspace "default", any publishable key, no secret key

	// TrustedProxies are the networks whose X-Forwarded-For and country headers are believed.
	// Connections from them are not counted against MaxConnsPerIP, since a proxy's address stands
	// for many visitors.
	TrustedProxies []netip.Prefix

	// Geo finds a visitor's place and kind of network from the address; nil: only TrustedProxies'
	// headers do.
	Geo *geo.Database

	// ProxyProtocol says that connections from TrustedProxies begin with a PROXY protocol header,
	// version 1 or 2, which names the visitor's address. Without one they are refused. Connections
	// from elsewhere never carry it.
	ProxyProtocol bool

	Certificate *Certificate // the edge speaks TLS itself; nil: it does not

	// IdentitySecret is what the daily keys of identity hashes are made of. Empty: random, known to
	// this process only, so that several edges behind one balancer would count one visitor several
	// times.
	IdentitySecret []byte
	// EmailKey keys the hash of a lead's e-mail address, at least 16 bytes. The processor needs the
	// same one to match it. Empty: no hash is made, since one that anybody can compute is as good
	// as the address.
	EmailKey []byte

	ReadTimeout  time.Duration // for one whole request, headers and body
	WriteTimeout time.Duration // for one answer
	IdleTimeout  time.Duration // between two requests of a connection

	MaxHeaderBytes int // of one request; ad networks' cookies are large
	MaxBodyBytes   int // of a batch
	MaxEventBytes  int // of a single event
	MaxBatch       int // events
	Concurrency    int // connections, those of TrustedProxies too
	MaxConnsPerIP  int // per IPv4 address or IPv6 /64; 0: no limit
	// MaxConns is how many connections there may be of all addresses together, TrustedProxies' apart.
	// One more closes the one that has waited longest without an answer. From a third of MaxConns on
	// it closes the one whose last answer is longest ago; 0: no limit.
	MaxConns int

	// EventsPerAddress is how many events a second an IPv4 address or IPv6 /64 may send without a
	// secret key, beside the limit of its workspace. Loopback addresses are not limited; 0: nobody
	// is.
	EventsPerAddress float64
	// BodyMemory is how many bytes the larger bodies of senders without a secret key may take
	// together, and again the records made of them, and both again for senders with one. Bodies of
	// at most 4 KiB do not count.
	BodyMemory int

	// LastRequests is how long a connection without a request stays open when the edge stops taking
	// new ones; 0: it is closed at once, maybe just when a request arrives on it.
	LastRequests time.Duration

	RetryAfter time.Duration // what a 503 tells the sender, in whole seconds

	Registry *prometheus.Registry // nil: metrics are kept but not exposed
	Logger   *slog.Logger         // nil: slog.Default()

	now func() time.Time // tests; nil: time.Now
}

// maxConns is the default of Config.MaxConns.
const maxConns = 6000

// Default is the Config of the documented limits.
func Default() Config {
	return Config{
		ReadTimeout:    5 * time.Second,
		WriteTimeout:   5 * time.Second,
		IdleTimeout:    60 * time.Second,
		MaxHeaderBytes: 16 << 10,
		MaxBodyBytes:   1 << 20,
		MaxEventBytes:  64 << 10,
		MaxBatch:       1000,
		Concurrency:    100_000,
		MaxConnsPerIP:  1000,
		MaxConns:       maxConns,
		LastRequests:   time.Second,
		RetryAfter:     5 * time.Second,

		EventsPerAddress: 1000,
		BodyMemory:       8 << 20,
	}
}

// Validate reports every fault of c at once, each with a hint.
func (c Config) Validate() error {
	var faults []error
	atLeast := func(name string, got, least int) {
		if got < least {
			faults = append(faults, fmt.Errorf("%s: %d is too small (hint: at least %d)", name, got, least))
		}
	}
	atLeast("header limit", c.MaxHeaderBytes, 4096)
	atLeast("body limit", c.MaxBodyBytes, 1024)
	atLeast("event limit", c.MaxEventBytes, 1024)
	atLeast("batch limit", c.MaxBatch, 1)
	atLeast("concurrency", c.Concurrency, 1)
	atLeast("connections per address", c.MaxConnsPerIP, 0)
	atLeast("connections", c.MaxConns, 0)
	atLeast("body memory", c.BodyMemory, 1<<20)
	if !(c.EventsPerAddress >= 0) || math.IsInf(c.EventsPerAddress, 1) { // NaN too
		faults = append(faults, fmt.Errorf("events per address: %v is no rate (hint: 1000; 0 means no limit)",
			c.EventsPerAddress))
	}
	if c.MaxEventBytes > c.MaxBodyBytes {
		faults = append(faults, fmt.Errorf("event limit: %d bytes is more than the body limit %d (hint: lower it)",
			c.MaxEventBytes, c.MaxBodyBytes))
	}
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"read timeout", c.ReadTimeout}, {"write timeout", c.WriteTimeout}, {"idle timeout", c.IdleTimeout},
		{"retry after", c.RetryAfter}} {
		if t.d < time.Second {
			// Without a read timeout a client that sends one byte a minute holds its connection for
			// ever.
			faults = append(faults, fmt.Errorf("%s: %s is too short (hint: at least 1s)", t.name, t.d))
		}
	}
	if n := len(c.IdentitySecret); n > 0 && n < 16 {
		faults = append(faults, fmt.Errorf("identity secret: %d bytes can be guessed (hint: `openssl rand -hex 32`)", n))
	}
	if schemas.IsPlaceholder(string(c.IdentitySecret)) {
		faults = append(faults, errors.New("identity secret: it is what stands in an example in the place of a secret "+
			"(hint: `openssl rand -hex 32`)"))
	}
	if n := len(c.EmailKey); n > 0 && n < 16 {
		faults = append(faults, fmt.Errorf(
			"email key: %d bytes can be guessed, and every address with them (hint: `openssl rand -hex 32`)", n))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		faults = append(faults, errors.New(
			"proxy protocol: no proxy is trusted (hint: --trusted-proxies 10.0.0.0/8 names the balancers that send it)"))
	}
	return errors.Join(faults...)
}
