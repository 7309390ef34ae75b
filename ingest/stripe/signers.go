package stripe

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"tributary/schemas"
)

// Signers say which signing secret signs for which accounts. Replace changes them while requests
// are served.
type Signers struct {
	current atomic.Pointer[signers]
}

// signers do not change once made.
type signers struct {
	signers []*signer
	listed  map[accountMode]bool // by any workspace, whoever signs for it
	open    bool                 // there is no workspaces file: everything is in one workspace
}

// signer is one signing secret and everything that it signs for. That of a Connect endpoint whose
// accounts belong to several workspaces signs for one endpoint of each of them.
type signer struct {
	secret    string
	digest    string
	endpoints []schemas.StripeEndpoint
}

type accountMode struct {
	account  string
	livemode bool
}

// NewSigners checks the secrets of the workspaces and those of the flags. workspaces is nil without
// a workspaces file; then the flags' secrets sign for every account. With one they sign for the
// accounts in stripe_accounts.
func NewSigners(workspaces []schemas.Workspace, flags []string) (*Signers, error) {
	s := &signers{open: workspaces == nil, listed: make(map[accountMode]bool)}
	bySecret := make(map[string]*signer)
	add := func(secret string, endpoints ...schemas.StripeEndpoint) {
		if bySecret[secret] == nil {
			bySecret[secret] = &signer{secret: secret, digest: schemas.SecretDigest(secret)}
			s.signers = append(s.signers, bySecret[secret])
		}
		bySecret[secret].endpoints = append(bySecret[secret].endpoints, endpoints...)
	}
	var older []schemas.StripeEndpoint // those of stripe_accounts
	for i := range workspaces {
		for _, endpoint := range workspaces[i].Endpoints() {
			s.list(endpoint)
			for _, secret := range endpoint.Secrets {
				add(secret, endpoint)
			}
			if len(endpoint.Secrets) == 0 {
				older = append(older, endpoint)
			}
		}
	}
	faults := checkFlags(flags, older, bySecret)
	for _, secret := range flags {
		add(secret, older...)
	}
	set := new(Signers)
	set.current.Store(s)
	return set, errors.Join(faults...)
}

// checkFlags returns what is wrong with the secrets of --stripe-webhook-secrets beside the
// workspaces file.
func checkFlags(flags []string, older []schemas.StripeEndpoint, inFile map[string]*signer) []error {
	var faults []error
	for i, secret := range flags {
		if err := schemas.CheckSigningSecret(secret); err != nil {
			faults = append(faults, fmt.Errorf("stripe webhook secrets: number %d: %w", i+1, err))
		}
		if inFile[secret] != nil {
			faults = append(faults, fmt.Errorf("stripe webhook secrets: number %d stands in the workspaces file too "+
				"(hint: leave it there only)", i+1))
		}
	}
	switch {
	case len(flags) == 0 && len(older) > 0:
		faults = append(faults, errors.New("stripe webhook secrets: none signs for stripe_accounts of the workspaces file "+
			"(hint: give them as stripe: [{accounts, secrets}], or --stripe-webhook-secrets whsec_…)"))
	case len(flags) == 0 && len(inFile) == 0:
		faults = append(faults, errors.New("stripe webhook secrets: none given "+
			"(hint: --stripe-webhook-secrets-file, or stripe: "+
			"[{accounts, secrets}] in the workspaces file; Stripe shows whsec_… beside the endpoint, "+
			"as does `stripe listen --print-secret`)"))
	case len(flags) > 1 && len(older) > 1:
		faults = append(faults, fmt.Errorf("stripe webhook secrets: %d of them for the stripe_accounts of %d workspaces: "+
			"each would sign for all (hint: give each workspace its own, as stripe: [{accounts, secrets}] in the "+
			"workspaces file)",
			len(flags), len(older)))
	}
	return faults
}

func (s *signers) list(e schemas.StripeEndpoint) {
	for _, account := range e.Accounts {
		for _, livemode := range []bool{true, false} {
			if e.Signs(livemode) {
				s.listed[accountMode{account, livemode}] = true
			}
		}
	}
}

// Replace makes the signers of other those of s. A request that is being verified ends with those
// it began with.
func (s *Signers) Replace(other *Signers) { s.current.Store(other.current.Load()) }

// admit decides whether the secrets that fit a signature may sign for an event. It returns the
// account that the event is of, and the digest of a secret where no workspace lists that account.
func (s *signers) admit(fits []*signer, account string, livemode bool) (of, unlisted string, f *fault) {
	if s.open {
		return account, "", nil
	}
	var endpoints []schemas.StripeEndpoint
	total := 0
	for _, signer := range fits {
		for _, endpoint := range signer.endpoints {
			total++
			if endpoint.Signs(livemode) {
				endpoints = append(endpoints, endpoint)
			}
		}
	}
	if len(endpoints) == 0 && total > 0 {
		return "", "", errWrongMode
	}
	if account == "" {
		account = standsFor(endpoints)
	}
	for _, endpoint := range endpoints {
		if slices.Contains(endpoint.Accounts, account) {
			return account, "", nil
		}
	}
	if s.listed[accountMode{account, livemode}] {
		return "", "", errWrongAccount
	}
	return account, fits[0].digest, nil
}

// standsFor returns the account of an event that names none. Such events come from an account's own
// endpoint, not from a Connect endpoint: if just one account can be meant it is that one, else the
// platform's own.
func standsFor(endpoints []schemas.StripeEndpoint) string {
	only := make(map[string]bool)
	for _, e := range endpoints {
		switch {
		case slices.Contains(e.Accounts, ""):
			return ""
		case !e.Connect && len(e.Accounts) == 1:
			only[e.Accounts[0]] = true
		}
	}
	if len(only) == 1 {
		for account := range only {
			return account
		}
	}
	return ""
}
