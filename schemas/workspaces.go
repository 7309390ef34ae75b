package schemas

import (
	"fmt"
	"slices"
	_ "time/tzdata" // time zones are known on machines that have no zone files
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
	WindowDays   int    `json:"window_days"`   // left out: 90
	Touch        string `json:"touch"`         // last (default) or first, of the clicks that the sale itself names
	Follow       string `json:"follow"`        // last (default) or first, of the clicks that the buyer is known by
	RenewalsDays int    `json:"renewals_days"` // how long after the click later sales keep their credit; left out: always
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
	data, err := readFile(path, maxWorkspacesBytes)
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
