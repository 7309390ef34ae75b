package accesslog

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"strings"

	"tributary/processor/enrich"
	"tributary/schemas"
)

// clickID names the line: a UUIDv7 of the line's time and a hash of its text and of how often the
// same text stood before it. Reading a file twice gives the same clicks, also when it has grown,
// was cut in two or joined with others; two equal lines of one file are two clicks.
func (l Line) clickID() schemas.ClickID {
	id := schemas.NewClickID(l.Time)
	sum := sha256.Sum256([]byte(strconv.Itoa(l.Repeat) + "\n" + l.Text))
	copy(id[6:], sum[:10])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// URL returns the address of the page. site (http://shop.example) is where the log does not say the
// site.
func (l Line) URL(site string) string {
	for scheme, port := range map[string]string{"https://": ":443/", "http://": ":80/"} {
		if strings.HasPrefix(l.Target, scheme) {
			return strings.Replace(l.Target, port, "/", 1) // balancers log a port that no browser shows
		}
	}
	if host, port, _ := strings.Cut(l.Site, ":"); host != "" {
		scheme, _, found := strings.Cut(site, "://")
		switch {
		case port == "443":
			scheme = "https"
		case port == "80", !found:
			scheme = "http"
		}
		site = scheme + "://" + host
	}
	return strings.TrimRight(site, "/") + "/" + strings.TrimLeft(l.Target, "/")
}

// trigger returns how the visitor came: by a link, if the address carries what links carry (an
// affiliate, a campaign, an advertisement's id); otherwise the line is a page view.
func trigger(url string) string {
	if parts := enrich.URL(url); parts.Affiliate != "" || parts.UTM != (enrich.UTM{}) || parts.AdNetwork != "" {
		return "link"
	}
	return "pageview"
}

// Event writes the line as an event of POST /v1/clicks, for a caller with the secret key.
func (l Line) Event(site string) []byte {
	url, agent := l.URL(site), l.Agent
	if agent == "" && !l.NoAgents {
		agent = "-" // the visitor sent none; without the field it is the log that has none
	}
	b, err := json.Marshal(struct {
		ClickID   string `json:"click_id"`
		URL       string `json:"url"`
		Referrer  string `json:"referrer,omitempty"`
		EventTime string `json:"event_time"`
		Trigger   string `json:"trigger"`
		Agent     string `json:"user_agent,omitempty"`
		Address   string `json:"ip,omitempty"`
	}{
		l.clickID().String(), url, l.Referrer, l.Time.Format("2006-01-02T15:04:05.000Z07:00"), trigger(url), agent, l.Address,
	})
	if err != nil {
		panic("accesslog: strings are not JSON: " + err.Error())
	}
	return b
}
