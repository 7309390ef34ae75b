package clicks

import (
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"tributary/ingest/geo"
	"tributary/schemas"
	"tributary/schemas/program"
)

// Tolerance around receipt for times that a browser gives: its clock may be wrong, and a beacon may
// have waited in a phone that was switched off.
const (
	maxAge   = 30 * 24 * time.Hour
	maxAhead = 5 * time.Minute
)

// Times that a secret key's holder may give, in Unix milliseconds. ClickHouse's DateTime64 ends in
// 2299.
const (
	earliest = millisecondsFrom
	latest   = 7_258_118_400_000 // 2200-01-01
)

// sender is what the request, rather than its body, says about who clicked.
type sender struct {
	workspace *Workspace
	secret    bool // a backend that holds the secret key: an import, not a visitor
	received  time.Time
	addr      netip.Addr // of the visitor; invalid for a backend
	agent     string
	hints     hints
	place     geo.Place // of the visitor, as trusted proxies or the files know it
	purpose   string    // prefetch or prerender: nobody has asked for the page yet
	optOut    bool      // Sec-GPC: 1 (Global Privacy Control) or DNT: 1 (Do Not Track)
	last      *lastIdentity
}

// complete checks what was read and fills in what was not given. The click's id is written to
// id, which the record then shares; w.event.click is ready to be encoded.
func (s *Server) complete(w *work, from *sender, id *schemas.ClickID) *fault {
	e := w.event
	c := &e.click
	if e.track {
		c.LinkId = e.domain + "/" + e.linkKey
		if len(c.LinkId) > maxURL {
			return errTooLong
		}
	}
	if e.odd != nil && from.secret {
		return e.odd
	}
	if f := e.dropNobodys(from.secret); f != nil {
		return f
	}
	switch {
	case c.Url == "" && c.LinkId == "":
		return errNothing
	case c.Url != "" && !validURL(c.Url, from.workspace.Schemes):
		return errBadURL
	}

	if c.AffiliateId == "" && c.LinkId == "" && !e.script && c.Trigger != "pageview" {
		c.AffiliateId = affiliateOf(c.Url)
	}

	// Beside the scanner's own strings: both live until the record is encoded.
	c.Url = redactURL(c.Url, from.workspace.QueryParameters, &w.json.text)
	c.Referrer = redactURL(c.Referrer, from.workspace.QueryParameters, &w.json.text)

	addr := from.addr
	if from.secret {
		if owner := s.workspaces.ownerOf(e.key); owner != nil && owner.ID != from.workspace.ID {
			return errUnknownKey // of two workspaces nobody knows which is meant
		}
		if e.ip != "" {
			a, ok := program.ParseAddress(e.ip)
			if !ok {
				return errBadAddress
			}
			addr = a
		}
		country, ok := countryCode(c.Country)
		if !ok {
			return errBadCountry
		}
		c.Country = country
		if e.ip != "" {
			setPlace(c, s.cfg.Geo.Lookup(addr))
		}
	} else {
		// Anyone could write these into a beacon; the connection and its proxies know better.
		c.UserAgent, c.Purpose = from.agent, from.purpose
		c.HintBrands, c.HintPlatform, c.HintPlatformVersion = from.hints.brands, from.hints.platform, from.hints.version
		c.Country, c.Region, c.City = "", "", ""
		setPlace(c, from.place)
	}

	if f := s.setID(w, from, id); f != nil {
		return f
	}
	c.Workspace, c.Vouched = from.workspace.ID, from.secret
	c.ReceivedAt = from.received.UnixMilli()
	if c.Trigger == "" {
		c.Trigger = "link"
	}
	if c.Consent == "denied" || from.optOut {
		// A visitor who said no is followed by nobody's name: neither the site's, nor an
		// advertising network's, nor ours.
		c.VisitorId = ""
		c.Url, c.Referrer = withoutAdIDs(c.Url, &w.json.text), withoutAdIDs(c.Referrer, &w.json.text)
		return nil
	}
	site := strings.TrimPrefix(hostOf(c.Url), "www.")
	c.IdentityHash = s.identities.append(e.hash[:0], from.last, from.received, addr, c.UserAgent, site)
	return nil
}

// dropNobodys drops ids that name nobody: those that a program failed to fill in, and those that
// are not Unicode, since all that cannot be read becomes one character. Of all who have such an id,
// one click in an hour would count, or one partner would have what others earned. A visitor's click
// is kept without it; with the secret key nothing is changed silently.
func (e *event) dropNobodys(secret bool) *fault {
	c := &e.click
	for _, id := range [...]*string{&e.clickID, &c.VisitorId, &c.AffiliateId, &c.ProgramId, &c.LinkId} {
		if *id == "" || isUnicode(*id) {
			continue
		}
		if secret {
			return errNotUnicode
		}
		*id = ""
	}
	for _, id := range [...]*string{&e.clickID, &c.VisitorId, &c.AffiliateId} {
		if schemas.IsUnfilled(*id) {
			*id = ""
		}
	}
	return nil
}

// affiliateOf returns whom the parameters of an address name, "" for nobody. They are those that
// /t.js reads where the site lists no others.
func affiliateOf(url string) string {
	url, _, _ = strings.Cut(url, "#")
	_, query, _ := strings.Cut(url, "?")
	for query != "" {
		var parameter string
		parameter, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(parameter, "=")
		switch name {
		case "via", "aff", "fp_ref", "fpr", "referral":
			if len(value) > maxID {
				continue
			}
			if strings.ContainsAny(value, "%+") {
				value = clean(string(fasthttp.AppendUnquotedArg(nil, []byte(value))))
			}
			if value = strings.TrimSpace(value); !schemas.IsUnfilled(value) && isUnicode(value) {
				return value
			}
		}
	}
	return ""
}

// setPlace fills in what is known of the visitor's place beside what the click says itself: a
// region and a city only of the same country.
func setPlace(c *schemas.Click, p geo.Place) {
	c.Datacenter = p.Datacenter
	if c.Country != "" && c.Country != p.Country {
		return
	}
	c.Country, c.Continent = p.Country, p.Continent
	if c.Region == "" && c.City == "" {
		c.Region, c.City = p.Region, p.City
	}
}

// setID decides when the click was and under which id it is kept.
func (s *Server) setID(w *work, from *sender, id *schemas.ClickID) *fault {
	e, c := w.event, &w.event.click
	received := from.received.UnixMilli()
	oldest, newest := received-maxAge.Milliseconds(), received+maxAhead.Milliseconds()
	e.clickID = schemas.BareClickID(e.clickID)
	given, isV7 := schemas.ParseClickID(e.clickID)
	if from.secret {
		oldest, newest = earliest, latest
		if e.timed && e.at > newest {
			return errBadTime // an import can be corrected, so nothing of it is changed silently
		}
	}

	// Outside the tolerance an id is still the site's name for this click, but not one to sort a
	// table by: such ids would open partitions of years to come.
	at := given.Time().UnixMilli()
	within := at >= oldest && at <= newest
	keep := isV7 && (from.secret || within)
	switch {
	case e.timed:
		at = e.at
	case !keep || !within:
		at = received
	}
	c.ClickedAt = min(max(at, oldest), newest)
	if c.ClickedAt != at {
		s.metrics.clamped.Inc()
	}

	if keep {
		*id = given
	} else {
		*id = w.newID(time.UnixMilli(c.ClickedAt))
		if e.clickID != "" {
			c.ForeignId = e.clickID
			s.metrics.foreign.Inc()
		}
	}
	c.ClickId = id[:]
	return nil
}
