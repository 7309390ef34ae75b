package program

import (
	"fmt"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":            "10.0.0.0/8",
		"10.1.2.3/8":            "10.0.0.0/8",
		"192.0.2.7/32":          "192.0.2.7/32",
		"fc00::/7":              "fc00::/7",
		"2001:db8::1/64":        "2001:db8::/64",
		"::1/128":               "::1/128",
		"::ffff:10.0.0.0/104":   "10.0.0.0/8",
		"::ffff:192.0.2.7/128":  "192.0.2.7/32",
		"0.0.0.0/0":             "holds visitors",
		"0.0.0.0/1":             "holds visitors",
		"128.0.0.0/1":           "holds visitors",
		"10.0.0.0/7":            "holds visitors",
		"::/0":                  "holds visitors",
		"2000::/3":              "holds visitors",
		"::ffff:0.0.0.0/96":     "holds visitors",
		"::ffff:0.0.0.0/0":      "holds visitors",
		"10.0.0.1":              "for one address",
		"10.0.0.0/33":           "for one address",
		"010.0.0.0/8":           "for one address",
		"fe80::1%eth0/64":       "for one address",
		"10.0.0.0-10.0.0.255":   "for one address",
		"proxy.example":         "for one address",
		"10.0.0.0 /8":           "for one address",
		"::ffff:10.0.0.0/8":     "::/8",
		"":                      "for one address",
		"10.0.0.0/255.0.0.0":    "for one address",
		"::ffff:255.0.0.0/102":  "holds visitors",
		"64:ff9b::192.0.2.0/96": "64:ff9b::/96",
	} {
		got, err := Networks([]string{text})
		answer := fmt.Sprint(got, err)
		if hinted := strings.Contains(answer, "(hint: "); !strings.Contains(answer, want) || hinted != (err != nil) {
			t.Errorf("%q: %s, want %s", text, answer, want)
		}
	}
	if _, err := Networks([]string{"x", "10.0.0.0/8", "::/0"}); strings.Count(err.Error(), "hint") != 2 {
		t.Errorf("not every fault is reported: %v", err)
	}
}
