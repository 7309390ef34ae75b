package schemas

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines that have no zone files
)

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
		if err := checkPublishableKey(key); err != nil {
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

// checkParameters wants names as they stand in addresses.
func (c *workspacesCheck) checkParameters(w *Workspace, path string) {
	for i, name := range w.QueryParameters {
		at := path + ".query_parameters[" + strconv.Itoa(i) + "]"
		if bare := strings.TrimSuffix(name, "*"); bare == "" || strings.ContainsAny(bare, "*?#&;= \t\r\n") {
			c.fault(at, "%q is not the name of a parameter (hint: gclid, or utm_* for all that begin so)", name)
		}
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
			none  string
		}{{".window_days", a.WindowDays, "leave it out for 90 days"},
			{".renewals_days", a.RenewalsDays, "leave it out, and all later sales keep their credit"}} {
			if t.days < 0 || t.days > maxDays || t.days == 0 && c.has(at+t.field) {
				c.fault(at+t.field, "%d days (hint: 1 to %d; %s)", t.days, maxDays, t.none)
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
