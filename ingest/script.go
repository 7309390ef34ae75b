package main

import (
	"fmt"
	"net/url"
	"strings"

	"tributary/ingest/clicks"
)

type scriptCommand struct {
	Edge string `required:"" placeholder:"https://clicks.example.com" help:"Address of the edge as browsers see it."`
	Key  string `placeholder:"pk_…" help:"The workspace's publishable key; not needed where the only workspace lists none, or one workspace alone lists the site in its hostnames."`
}

// Run prints the script element for a site that pins the version of the tracking script.
func (c *scriptCommand) Run(p *process) error {
	u, err := url.Parse(c.Edge)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.ContainsAny(c.Edge, "?#") {
		return fmt.Errorf("--edge %q is not an address (hint: such as https://clicks.example.com)", c.Edge)
	}
	_, err = fmt.Fprintln(p.stdout, clicks.ScriptElement(c.Edge, c.Key))
	return err
}
