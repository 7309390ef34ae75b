// Package workspace reads the processor's part of the workspaces file.
package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tributary/processor/join"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Default owns everything while there is no workspaces file.
const Default = "default"

// File says whose Stripe accounts there are, and how their owners want their sales credited.
type File struct {
	accounts map[string]string // Stripe account → workspace
	policies map[string]join.Policies
	keys     map[string]*stripe.Keys
}

// entry is one element of the file's JSON array. The edge reads other fields of it.
type entry struct {
	ID string `json:"id"`
	// StripeAccounts: acct_…; "" is the platform's own.
	StripeAccounts []string `json:"stripe_accounts"`
	// Attribution: the policies, each from its day on.
	Attribution []struct {
		From         string `json:"from"`          // 2006-01-02, UTC; empty: from the beginning
		WindowDays   int    `json:"window_days"`   // 0: 90
		Touch        string `json:"touch"`         // last (default) or first, of the clicks that the sale itself names
		Follow       string `json:"follow"`        // last (default) or first, of the clicks that the buyer is known by
		RenewalsDays int    `json:"renewals_days"` // how long after the click later sales keep their credit; 0: always
	} `json:"attribution"`
	// Keys: what else names a click, customer, affiliate or promotion in Stripe's objects.
	Keys struct {
		Metadata   map[string]string `json:"metadata"`   // metadata key → click, external, affiliate, promotion; "": ignored
		References map[string]string `json:"references"` // prefix of client_reference_id → the same
	} `json:"keys"`
	// EmailFallback lets a hashed e-mail address tie a sale to a lead where nothing else does. Needs --email-key.
	EmailFallback bool `json:"email_fallback"`
}

// Read reads the file; without one everything is in one workspace. All faults are told at once.
func Read(path, emailKey string) (*File, error) {
	f := &File{accounts: make(map[string]string), policies: make(map[string]join.Policies), keys: make(map[string]*stripe.Keys)}
	if path == "" {
		return f, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read workspaces: %w (give the file's path with --workspaces, or leave it out for one workspace)", err)
	}
	var list []entry
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read workspaces %s: %w", path, err)
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("workspaces %s: "+format, append([]any{path}, args...)...))
	}
	for i, e := range list {
		if strings.TrimSpace(e.ID) == "" {
			fault("entry %d has no id", i)
			continue
		}
		if _, twice := f.keys[e.ID]; twice {
			fault("%q is listed twice", e.ID)
		}
		for _, a := range e.StripeAccounts {
			if other, twice := f.accounts[a]; twice {
				fault("account %q belongs to %q and %q", a, other, e.ID)
			}
			f.accounts[a] = e.ID
		}
		if f.policies[e.ID], err = e.policies(); err != nil {
			fault("%s: attribution: %w", e.ID, err)
		}
		keys, err := stripe.NewKeys(e.Keys.Metadata, e.Keys.References)
		if err != nil {
			fault("%s: keys: %w", e.ID, err)
			continue
		}
		if e.EmailFallback {
			if emailKey == "" {
				fault("%s: email_fallback needs the key of the hashes; give the edge's with --email-key", e.ID)
			}
			keys.HashEmail = func(address string) []byte { return schemas.EmailHash([]byte(emailKey), e.ID, address) }
		}
		f.keys[e.ID] = keys
	}
	return f, errors.Join(faults...)
}

const day = 24 * time.Hour

func (e *entry) policies() (join.Policies, error) {
	var list []join.Policy
	var faults []error
	for _, a := range e.Attribution {
		p := join.Policy{
			Window: time.Duration(a.WindowDays) * day, Touch: join.Touch(a.Touch), Follow: join.Touch(a.Follow), Renewals: time.Duration(a.RenewalsDays) * day,
		}
		if a.From != "" {
			var err error
			if p.From, err = time.Parse(time.DateOnly, a.From); err != nil {
				faults = append(faults, fmt.Errorf("from %q is not a day like 2026-01-31", a.From))
			}
		}
		list = append(list, p)
	}
	policies, err := join.NewPolicies(list...)
	return policies, errors.Join(append(faults, err)...)
}

// Of gives the workspace of a Stripe account; empty for the platform's own.
func (f *File) Of(account string) string {
	if id, ok := f.accounts[account]; ok {
		return id
	}
	return Default
}

// Keys gives what names clicks and buyers in a workspace's Stripe objects.
func (f *File) Keys(workspace string) *stripe.Keys {
	if k, ok := f.keys[workspace]; ok {
		return k
	}
	return stripe.Default()
}

// Policies gives how a workspace wants its sales credited.
func (f *File) Policies(workspace string) join.Policies { return f.policies[workspace] }

// Moved tells which accounts' money stands in another workspace than the file says. The workspace is part of the ledger's key:
// the same money would be booked a second time.
func (f *File) Moved(booked map[string]string) error {
	var faults []error
	for account, workspace := range booked {
		if now := f.Of(account); now != workspace {
			faults = append(faults, fmt.Errorf("the money of account %q is booked in workspace %q, and the workspaces file now says %q: it would be counted twice; put the account back, or load everything again into an empty database", account, workspace, now))
		}
	}
	return errors.Join(faults...)
}
