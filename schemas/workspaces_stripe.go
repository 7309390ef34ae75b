package schemas

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	_ "time/tzdata" // time zones are known on machines that have no zone files
)

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

// checkSigningSecret reports what are no signing secrets, and those that stand in two places. The
// secret of a Connect endpoint may: its events name their account, so that nobody's money is in
// doubt.
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
