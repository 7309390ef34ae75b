package schemas

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines that have no zone files

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Workspace is one tenant as the workspaces file describes it. Both programs read the whole of it,
// so that a misspelt field is found by either.
type Workspace struct {
	ID string `json:"id"`

	PublishableKeys []string `json:"publishable_keys"` // stand in web pages; empty: any key is accepted
	SecretKeys      []string `json:"secret_keys"`      // for imports, leads and movements
	// Hostnames are the sites that may send beacons: exact, or *.example.com for all subdomains;
	// empty: all. They are kept as browsers send them: in lower case, IDNs in their xn-- form,
	// without "www.".
	Hostnames []string `json:"hostnames"`
	Schemes   []string `json:"schemes"` // URL schemes beside http and https, such as an app's
	// QueryParameters are the parameters of addresses that are stored, all others are dropped;
	// "utm_*" names all that begin so. nil: all that hold no secret. What is not stored is not known
	// to the processor either: campaign and network are read from these parameters.
	QueryParameters []string `json:"query_parameters"`
	EventsPerSecond float64  `json:"events_per_second"` // of all visitors together; 0: no limit

	// RetentionDays is how many days after its receipt a click or a page view loses what could tell
	// who made it, and a lead its metadata (package retention); 0: never. processor migrate puts it in
	// force.
	RetentionDays int `json:"retention_days"`

	Stripe []StripeEndpoint `json:"stripe"`
	// StripeAccounts is the older form: accounts whose events are signed by
	// --stripe-webhook-secrets.
	StripeAccounts []string `json:"stripe_accounts"`

	Attribution   []Attribution `json:"attribution"`    // each policy from its day on
	Keys          ReferenceKeys `json:"keys"`           // what else names somebody in Stripe's objects
	EmailFallback bool          `json:"email_fallback"` // a hashed address may tie a sale to a lead; needs --email-key
	Timezone      string        `json:"timezone"`       // IANA name, for what people look at; empty: UTC
	Currency      string        `json:"currency"`       // ISO 4217 in lower case, for what people look at; empty: usd
}

// StripeEndpoint is a webhook endpoint of Stripe, or several of the same accounts.
type StripeEndpoint struct {
	// Accounts are acct_… ids; "" is the platform's own account where older entries are booked
	// under no id. An event that names no account belongs to "" if that is listed, else to the only
	// account of the list.
	Accounts []string `json:"accounts"`
	Secrets  []string `json:"secrets"`  // signing secrets, whsec_…; they sign for these accounts only
	Livemode *bool    `json:"livemode"` // they sign only for this mode; left out: for both
	// Connect says that the endpoint listens to connected accounts. Such events always name their
	// account, and come in both modes to an endpoint in live mode
	// (https://docs.stripe.com/connect/webhooks). Its secret may therefore stand in several
	// workspaces.
	Connect bool `json:"connect"`
}

// Signs reports whether the endpoint's secrets sign for events of this mode.
func (e StripeEndpoint) Signs(livemode bool) bool {
	return e.Livemode == nil || *e.Livemode == livemode
}

// Attribution is a policy of crediting.
type Attribution struct {
	From         string `json:"from"`          // 2006-01-02, UTC; empty: from the beginning
	WindowDays   int    `json:"window_days"`   // 0: 90
	Touch        string `json:"touch"`         // last (default) or first, of the clicks that the sale itself names
	Follow       string `json:"follow"`        // last (default) or first, of the clicks that the buyer is known by
	RenewalsDays int    `json:"renewals_days"` // how long after the click later sales keep their credit; 0: always
}

// DefaultWindowDays is the attribution window of a policy that gives none: the life of the vendors'
// cookies.
const DefaultWindowDays = 90

// ReferenceKeys say what else names a click, buyer, affiliate or promotion in Stripe's objects. An
// empty target takes a built-in key away.
type ReferenceKeys struct {
	Metadata   map[string]string `json:"metadata"`   // metadata key → click, external, affiliate, promotion
	References map[string]string `json:"references"` // prefix of client_reference_id → the same
}

// Endpoints are the workspace's Stripe accounts in one form: those of Stripe, and behind them those
// of StripeAccounts, whose endpoint has no secrets of its own.
func (w *Workspace) Endpoints() []StripeEndpoint {
	if len(w.StripeAccounts) == 0 {
		return w.Stripe
	}
	return append(slices.Clip(w.Stripe), StripeEndpoint{Accounts: w.StripeAccounts})
}

// EmailFallback returns the ids of the workspaces with email_fallback.
func EmailFallback(list []Workspace) []string {
	var ids []string
	for i := range list {
		if list[i].EmailFallback {
			ids = append(ids, list[i].ID)
		}
	}
	return ids
}

// maxWorkspacesBytes is some ten thousand workspaces.
const maxWorkspacesBytes = 16 << 20

// ReadWorkspaces reads the workspaces file and checks it as a whole. An error holds every fault
// with its line, its column and a hint. No fault repeats a secret.
func ReadWorkspaces(path string) ([]Workspace, error) {
	data, err := ReadFile(path, maxWorkspacesBytes)
	if err != nil {
		return nil, fmt.Errorf("read workspaces: %w (hint: --workspaces names a JSON array that this user may read; "+
			"without it there is one workspace)", err)
	}
	list, err := ParseWorkspaces(path, data)
	if err != nil {
		return nil, fmt.Errorf("read workspaces:\n%w", err)
	}
	return list, nil
}

// ParseWorkspaces reads the text of a workspaces file; name stands in the faults.
func ParseWorkspaces(name string, data []byte) ([]Workspace, error) {
	var list []Workspace
	c := &workspacesCheck{strictFile: strictFile{name: name, data: data}}
	if c.decode(&list) {
		c.check(list)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return list, nil
}

// workspacesCheck finds what is wrong with the values and mends their spelling.
type workspacesCheck struct {
	strictFile
	ids, keys, hosts map[string]string        // what is taken → by which workspace, for words that say so
	accounts         map[accountMode]string   // the same
	secrets          map[string]signingSecret // the same
}

type accountMode struct {
	account  string
	livemode bool
}

type signingSecret struct {
	path    string // of where it stands first
	connect bool
}

func (c *workspacesCheck) check(list []Workspace) {
	c.ids, c.keys, c.hosts = make(map[string]string), make(map[string]string), make(map[string]string)
	c.accounts, c.secrets = make(map[accountMode]string), make(map[string]signingSecret)
	if len(list) == 0 && len(c.faults) == 0 {
		c.fault("", `the list is empty (hint: [{"id":"acme"}]; leave --workspaces out to have one workspace, "default")`)
	}
	for i := range list {
		w, path := &list[i], "["+strconv.Itoa(i)+"]"
		c.checkID(w.ID, path)
		c.checkKeys(w, path)
		c.checkSites(w, path)
		c.checkParameters(w, path)
		c.checkStripe(w, path)
		c.checkAttribution(w, path)
		c.checkReferences(w.Keys.Metadata, path+".keys.metadata")
		c.checkReferences(w.Keys.References, path+".keys.references")
		c.checkRegion(w, path)
	}
}

// maxKeyBytes is how much of an id or a key the edge reads.
const maxKeyBytes = 200

func (c *workspacesCheck) checkID(id, path string) {
	switch {
	case id == "" && !c.has(path+".id"):
		c.fault(path, `the workspace has no id (hint: "id":"acme")`)
	case id == "" || len(id) > maxKeyBytes:
		c.fault(path+".id", "the id has %d bytes (hint: 1 to %d)", len(id), maxKeyBytes)
	case strings.ContainsFunc(id, notInKey):
		c.fault(path+".id", "the id %q holds a space or a character that cannot be seen (hint: take it out)", id)
	case strings.HasPrefix(id, HeldPrefix):
		c.fault(path+".id", "the id %q begins with %s, which is kept for accounts that no workspace lists "+
			"(hint: take that out)", id, HeldPrefix)
	default:
		c.claim(c.ids, id, path+".id", id, "the id "+strconv.Quote(id))
	}
}

// claim reports a value that was given before.
func (c *workspacesCheck) claim(taken map[string]string, value, path, id, what string) {
	if other, twice := taken[value]; twice {
		c.fault(path, "%s is used twice, by %q before (hint: it belongs to one workspace, once)", what, other)
		return
	}
	taken[value] = id
}

func (c *workspacesCheck) checkKeys(w *Workspace, path string) {
	for i, key := range w.PublishableKeys {
		at := path + ".publishable_keys[" + strconv.Itoa(i) + "]"
		if err := CheckPublishableKey(key); err != nil {
			c.fault(at, "publishable key: %v", err)
			continue
		}
		c.claim(c.keys, key, at, w.ID, "publishable key "+strconv.Quote(key))
	}
	for i, key := range w.SecretKeys {
		at := path + ".secret_keys[" + strconv.Itoa(i) + "]"
		if err := CheckSecretKey(key); err != nil {
			c.fault(at, "secret key: %v", err)
			continue
		}
		c.claim(c.keys, key, at, w.ID, "this key")
	}
	if x := w.EventsPerSecond; x < 0 || math.IsInf(x, 0) {
		c.fault(path+".events_per_second", "%v is negative or without end (hint: 0 means no limit)", x)
	}
	if d := w.RetentionDays; d != 0 && (d < minRetentionDays || d > maxRetentionDays) {
		c.fault(path+".retention_days", "%d is out of range (hint: %d to %d days, or 0 for no end)", d, minRetentionDays,
			maxRetentionDays)
	}
}

// Bounds of RetentionDays. A visitor's clicks are counted anew while they may still arrive, for 30
// days (package clicks); ClickHouse's clock for it ends in 2106.
const (
	minRetentionDays = 31
	maxRetentionDays = 3650
)

func (c *workspacesCheck) checkSites(w *Workspace, path string) {
	own := make(map[string]bool) // www.example.com beside example.com is one site written twice
	for i, given := range w.Hostnames {
		at := path + ".hostnames[" + strconv.Itoa(i) + "]"
		host, err := normalizeHostname(given)
		if err != nil {
			c.fault(at, "hostname %q: %v", given, err)
			continue
		}
		w.Hostnames[i] = host
		if !own[host] || slices.Contains(w.Hostnames[:i], given) {
			c.claim(c.hosts, host, at, w.ID, "hostname "+strconv.Quote(host))
		}
		own[host] = true
	}
	for i, scheme := range w.Schemes {
		w.Schemes[i] = strings.ToLower(scheme)
		if !schemePattern.MatchString(w.Schemes[i]) || slices.Contains(refusedSchemes, w.Schemes[i]) {
			c.fault(path+".schemes["+strconv.Itoa(i)+"]", "scheme %q (hint: an app's, such as myapp, without ://)", scheme)
		}
	}
}

// checkParameters wants names as they stand in addresses.
func (c *workspacesCheck) checkParameters(w *Workspace, path string) {
	for i, name := range w.QueryParameters {
		at := path + ".query_parameters[" + strconv.Itoa(i) + "]"
		if bare := strings.TrimSuffix(name, "*"); bare == "" || strings.ContainsAny(bare, "*?#&;= \t\r\n") {
			c.fault(at, "%q is not the name of a parameter (hint: gclid, or utm_* for all that begin so)", name)
		}
	}
}

var (
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`) // RFC 3986 §3.1
	// A link with one of these is a script or a file, and never an arrival.
	refusedSchemes = []string{"javascript", "data", "vbscript", "blob", "file", "about"}
	// What browsers do to a hostname before they send it
	// (https://url.spec.whatwg.org/#concept-domain-to-ascii).
	browserHostname = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
		idna.BidiRule(), idna.VerifyDNSLength(true))
)

// normalizeHostname returns a hostname as the Origin header shows it, without "www.".
func normalizeHostname(given string) (string, error) {
	const hint = "(hint: shop.example.com or *.example.com, without scheme, port or path)"
	bare, wildcard := strings.CutPrefix(given, "*.")
	if bare == "" || strings.ContainsAny(bare, "*/:@?#\\%, \t\r\n") || strings.HasSuffix(bare, ".") {
		return "", fmt.Errorf("it is not a hostname %s", hint)
	}
	host, err := browserHostname.ToASCII(bare)
	if err != nil || host == "" {
		return "", fmt.Errorf("no browser can send it: %w %s", err, hint)
	}
	_, addrErr := netip.ParseAddr(host)
	if addrErr == nil && wildcard {
		return "", fmt.Errorf("an address has no subdomains %s", hint)
	}
	if addrErr != nil && numeric.MatchString(host) { // https://url.spec.whatwg.org/#ends-in-a-number-checker
		return "", fmt.Errorf("a browser reads it as an address, and sends another form of it (hint: 127.0.0.1)")
	}
	if !wildcard {
		return strings.TrimPrefix(host, "www."), nil
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host && host != "localhost" {
		return "", fmt.Errorf("everybody may have a name under %s (hint: *.example.com, the domain that is yours)", host)
	}
	return "*." + host, nil
}

// numeric is a hostname that browsers take for an IPv4 address: its last label is a number.
var numeric = regexp.MustCompile(`(?i)(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$`)

var accountPattern = regexp.MustCompile(`^acct_[A-Za-z0-9_]+$`)

func (c *workspacesCheck) checkStripe(w *Workspace, path string) {
	c.checkAccounts(w, w.StripeAccounts, nil, path+".stripe_accounts")
	own := make(map[string]bool)
	for i, e := range w.Stripe {
		at := path + ".stripe[" + strconv.Itoa(i) + "]"
		if len(e.Accounts) == 0 {
			c.fault(at, `the endpoint has no accounts (hint: "accounts":["acct_…"], as Stripe's dashboard shows it)`)
		}
		if len(e.Secrets) == 0 {
			c.fault(at, `the endpoint has no secrets (hint: "secrets":["whsec_…"], as Stripe shows it beside the endpoint)`)
		}
		c.checkAccounts(w, e.Accounts, e.Livemode, at+".accounts")
		for j, secret := range e.Secrets {
			c.checkSigningSecret(secret, e.Connect, at+".secrets["+strconv.Itoa(j)+"]")
		}
		for _, account := range e.Accounts {
			own[account] = true
		}
	}
	for i, account := range w.StripeAccounts {
		if own[account] {
			c.fault(path+".stripe_accounts["+strconv.Itoa(i)+"]", "account %q has secrets of its own in stripe "+
				"(hint: take it out here)", account)
		}
	}
}

// checkAccounts reports accounts that are none, are repeated, or belong to another workspace in the
// same mode. Live and test mode of one account may belong to two workspaces.
func (c *workspacesCheck) checkAccounts(w *Workspace, accounts []string, livemode *bool, path string) {
	for i, account := range accounts {
		at := path + "[" + strconv.Itoa(i) + "]"
		if account != "" && !accountPattern.MatchString(account) {
			c.fault(at, `account %q (hint: acct_…, or "" for the platform's own)`, account)
			continue
		}
		if slices.Contains(accounts[:i], account) {
			c.fault(at, "account %q is used twice in this list (hint: keep one)", account)
		}
		for _, mode := range []bool{true, false} {
			if livemode != nil && *livemode != mode {
				continue
			}
			key := accountMode{account, mode}
			if other, taken := c.accounts[key]; taken && other != w.ID {
				c.fault(at, "account %q belongs to %q and %q (hint: its money is booked in one workspace)", account, other, w.ID)
				break
			}
			c.accounts[key] = w.ID
		}
	}
}

// checkSigningSecret reports what are no signing secrets, and those that stand in two places. The secret of a
// Connect endpoint may: its events name their account, so that nobody's money is in doubt.
func (c *workspacesCheck) checkSigningSecret(secret string, connect bool, path string) {
	if err := CheckSigningSecret(secret); err != nil {
		c.fault(path, "signing secret: %v", err)
		return
	}
	list := path[:strings.LastIndexByte(path, '[')]
	first, twice := c.secrets[secret]
	switch {
	case !twice:
		c.secrets[secret] = signingSecret{path, connect}
	case !connect || !first.connect || strings.HasPrefix(first.path, list+"["):
		c.fault(path, `this signing secret is also %s: it is not known for whom it signs `+
			`(hint: one endpoint, one secret; that of a Connect endpoint may be repeated with "connect":true)`, first.path)
	}
}

// maxDays of a window is ten years.
const maxDays = 3650

func (c *workspacesCheck) checkAttribution(w *Workspace, path string) {
	days := make(map[string]bool)
	for i, a := range w.Attribution {
		at := path + ".attribution[" + strconv.Itoa(i) + "]"
		if _, err := time.Parse(time.DateOnly, a.From); err != nil && a.From != "" {
			c.fault(at+".from", "%q is not a day (hint: 2026-01-31)", a.From)
		}
		if days[a.From] {
			c.fault(at, "two policies are in force from %q on (hint: give them different days)", a.From)
		}
		days[a.From] = true
		for _, t := range []struct{ field, value string }{{".touch", a.Touch}, {".follow", a.Follow}} {
			if t.value != "" && t.value != "last" && t.value != "first" {
				c.fault(at+t.field, "%q is no touch (hint: last or first)", t.value)
			}
		}
		for _, t := range []struct {
			field string
			days  int
		}{{".window_days", a.WindowDays}, {".renewals_days", a.RenewalsDays}} {
			if t.days < 0 || t.days > maxDays {
				c.fault(at+t.field, "%d days (hint: 0 to %d)", t.days, maxDays)
			}
		}
		window := a.WindowDays
		if window == 0 {
			window = DefaultWindowDays
		}
		if a.RenewalsDays > 0 && a.RenewalsDays < window {
			c.fault(at+".renewals_days", "%d days are fewer than the window's %d "+
				"(hint: both are counted from the click)", a.RenewalsDays, window)
		}
	}
}

// referenceTargets are what a key of the seller's may name.
var referenceTargets = []string{"click", "external", "affiliate", "promotion"}

func (c *workspacesCheck) checkReferences(keys map[string]string, path string) {
	for key, target := range keys {
		if key == "" {
			c.fault(path, "a key is empty (hint: take it out)")
		}
		if target != "" && !slices.Contains(referenceTargets, target) {
			c.fault(path+"."+key, "%q names a %q "+
				"(hint: %s, or \"\" to ignore it)", key, target, strings.Join(referenceTargets, ", "))
		}
	}
}

// currencies are those that Stripe pays in today; the processor's table of exponents has more, of
// the past. Source: Stripe, "Supported currencies" (docs.stripe.com/currencies), 2026-09-27.
var currencies = strings.Fields(`
	aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny cop
	crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd
	jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad
	ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd szl thb
	tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw`)

func (c *workspacesCheck) checkRegion(w *Workspace, path string) {
	if at := path + ".timezone"; c.has(at) {
		if _, err := time.LoadLocation(w.Timezone); err != nil || w.Timezone == "" || w.Timezone == "Local" {
			c.fault(at, "%q is no time zone (hint: an IANA name, such as Europe/Paris)", w.Timezone)
		}
	}
	if at := path + ".currency"; c.has(at) {
		w.Currency = strings.ToLower(w.Currency)
		if !slices.Contains(currencies, w.Currency) {
			c.fault(at, "%q is no currency that Stripe pays in (hint: three letters of ISO 4217, such as eur)", w.Currency)
		}
	}
}
