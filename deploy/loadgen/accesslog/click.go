package accesslog

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"strings"

	"tributary/schemas"
)

// ClickID names the line: a UUIDv7 of the line's time and a hash of its number and text. Reading a
// file twice gives the same clicks; two equal lines of one file are two clicks.
func (l Line) ClickID() schemas.ClickID {
	id := schemas.NewClickID(l.Time)
	sum := sha256.Sum256([]byte(strconv.Itoa(l.Number) + "\n" + l.Text))
	copy(id[6:], sum[:10])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// URL is the page that was asked for. Targets are paths, save for requests to a proxy.
func (l Line) URL(site string) string {
	if strings.HasPrefix(l.Target, "http://") || strings.HasPrefix(l.Target, "https://") {
		return l.Target
	}
	return strings.TrimRight(site, "/") + "/" + strings.TrimLeft(l.Target, "/")
}

// Event writes the line as an event of POST /v1/clicks, for a caller with the secret key.
func (l Line) Event(site string) []byte {
	b, err := json.Marshal(struct {
		ClickID   string `json:"click_id"`
		URL       string `json:"url"`
		Referrer  string `json:"referrer,omitempty"`
		EventTime string `json:"event_time"`
		Trigger   string `json:"trigger"`
		Agent     string `json:"user_agent"`
		Address   string `json:"ip,omitempty"`
	}{l.ClickID().String(), l.URL(site), l.Referrer, l.Time.Format("2006-01-02T15:04:05.000Z07:00"), "pageview", l.Agent, l.Address})
	if err != nil {
		panic("accesslog: strings are not JSON: " + err.Error())
	}
	return b
}
