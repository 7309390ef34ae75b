// Package workspace says which workspace a Stripe account belongs to, and how each workspace wants
// its sales credited.
package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tributary/processor/join"
	"tributary/processor/retention"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Default is the only workspace while there is no workspaces file.
const Default = "default"

// File is what the processor needs of the workspaces file. Replace changes it while records are
// handled.
type File struct {
	current atomic.Pointer[file]
}

// file does not change once made.
type file struct {
	absent   bool // there is no workspaces file: everything is in Default
	owners   map[accountMode]owner
	policies map[string]join.Policies
	keys     map[string]*stripe.Keys
	regions  []Region // in the file's order
	retained int      // days, as retention.Shortest returns them
}

// Region is how people of a workspace read times and sums, and how its pages send clicks.
type Region struct {
	Workspace      string
	Timezone       string // IANA name
	Currency       string // ISO 4217 in lower case
	PublishableKey string // one that the edge takes clicks by; empty: the workspace lists none
	Hostname       string // of a site that may send clicks; empty: every site may
}

type accountMode struct {
	account  string
	livemode bool
}

// owner is a workspace that lists an account, and the digests of the secrets that it lists beside
// it.
type owner struct {
	workspace string
	secrets   []string
}

// Read reads the file; without a path there is one workspace, Default. emailKey is the key of the
// hashes of e-mail addresses, the same as the edge's. An error holds every fault.
func Read(path, emailKey string) (*File, error) { return read(path, emailKey, true) }

// ReadPolicies is Read for those who book nothing, and need no key of hashes.
func ReadPolicies(path string) (*File, error) { return read(path, "", false) }

func read(path, emailKey string, books bool) (*File, error) {
	f := &file{
		absent: path == "", owners: make(map[accountMode]owner),
		policies: make(map[string]join.Policies), keys: make(map[string]*stripe.Keys),
	}
	var list []schemas.Workspace
	var faults []error
	if path != "" {
		var err error
		list, err = schemas.ReadWorkspaces(path)
		faults = append(faults, err)
	} else {
		f.regions = []Region{{Workspace: Default, Timezone: "UTC", Currency: "usd"}}
	}
	if books {
		faults = append(faults, schemas.CheckEmailKey(emailKey, schemas.EmailFallback(list)))
	}
	f.retained = retention.Shortest(list)
	for i := range list {
		faults = append(faults, f.add(&list[i], emailKey))
	}
	set := new(File)
	set.current.Store(f)
	return set, errors.Join(faults...)
}

func (f *file) add(w *schemas.Workspace, emailKey string) error {
	for _, endpoint := range w.Endpoints() {
		f.own(w.ID, endpoint)
	}
	policies, err := policies(w.Attribution)
	if err != nil { // not reached: the reader has checked them
		return fmt.Errorf("workspace %s: attribution: %w", w.ID, err)
	}
	keys, err := stripe.NewKeys(w.Keys.Metadata, w.Keys.References)
	if err != nil { // not reached either
		return fmt.Errorf("workspace %s: keys: %w", w.ID, err)
	}
	if w.EmailFallback && emailKey != "" {
		keys.HashEmail = func(address string) []byte { return schemas.EmailHash([]byte(emailKey), w.ID, address) }
	}
	f.policies[w.ID], f.keys[w.ID] = policies, keys
	region := Region{Workspace: w.ID, Timezone: cmp.Or(w.Timezone, "UTC"), Currency: cmp.Or(w.Currency, "usd")}
	if len(w.PublishableKeys) > 0 {
		region.PublishableKey = w.PublishableKeys[0]
	}
	if len(w.Hostnames) > 0 {
		region.Hostname = strings.Replace(w.Hostnames[0], "*.", "www.", 1)
	}
	f.regions = append(f.regions, region)
	return nil
}

func (f *file) own(workspace string, endpoint schemas.StripeEndpoint) {
	for _, account := range endpoint.Accounts {
		for _, livemode := range []bool{true, false} {
			if !endpoint.Signs(livemode) {
				continue
			}
			key := accountMode{account, livemode}
			o := f.owners[key]
			o.workspace = workspace
			for _, secret := range endpoint.Secrets {
				o.secrets = append(o.secrets, schemas.SecretDigest(secret))
			}
			f.owners[key] = o
		}
	}
}

const day = 24 * time.Hour

func policies(list []schemas.Attribution) (join.Policies, error) {
	var all []join.Policy
	for _, a := range list {
		p := join.Policy{
			Window: time.Duration(a.WindowDays) * day, Renewals: time.Duration(a.RenewalsDays) * day,
			Touch: join.Touch(a.Touch), Follow: join.Touch(a.Follow),
		}
		if a.From != "" {
			from, err := time.Parse(time.DateOnly, a.From)
			if err != nil {
				return nil, err
			}
			p.From = from
		}
		all = append(all, p)
	}
	return join.NewPolicies(all...)
}

// Replace makes the content of other that of f.
func (f *File) Replace(other *File) { f.current.Store(other.current.Load()) }

// Of returns the workspace that books the events of a Stripe account in one mode; account is empty
// for the platform's own. Where there is none, listed is false, and workspace the one in which they
// are held.
//
// unlisted is the record's schemas.HeaderUnlisted: not empty if nobody listed the account when the
// event came. Then only a workspace that lists the secret which signed the event may have it.
// Whoever knows another secret could have signed events in advance for an account that is listed
// later.
func (f *File) Of(account string, livemode bool, unlisted string) (workspace string, listed bool) {
	if own, ok := schemas.MovementWorkspace(account); ok {
		if unlisted != "" { // what a webhook says of such an account proves nothing
			return schemas.HeldWorkspace(account, unlisted), false
		}
		return own, true
	}
	now := f.current.Load()
	if now.absent {
		return Default, true
	}
	o, ok := now.owners[accountMode{account, livemode}]
	if !ok || unlisted != "" && len(o.secrets) > 0 && !slices.Contains(o.secrets, unlisted) {
		return schemas.HeldWorkspace(account, unlisted), false
	}
	return o.workspace, true
}

// Released returns the workspace that books in one mode what is held in another, and whether there
// is one now.
func (f *File) Released(held string, livemode bool) (workspace string, listed bool) {
	account, unlisted, ok := schemas.ParseHeldWorkspace(held)
	if !ok {
		return "", false
	}
	return f.Of(account, livemode, unlisted)
}

// OfEvent is Of for a record of stripe.v1.
func (f *File) OfEvent(e *schemas.StripeEvent) (workspace string, listed bool) {
	return f.Of(e.Account, e.Livemode, e.Unlisted)
}

// Keys returns what names clicks and buyers in a workspace's Stripe objects.
func (f *File) Keys(workspace string) *stripe.Keys {
	if k, ok := f.current.Load().keys[workspace]; ok {
		return k
	}
	return stripe.Default()
}

// Regions returns all workspaces, with how their people read times and sums.
func (f *File) Regions() []Region { return f.current.Load().regions }

// RetentionDays returns the days after which a click of some workspace loses its visitor first; 0:
// none ever does.
func (f *File) RetentionDays() int { return f.current.Load().retained }

// Choose returns the workspace that a command works in: id, or without one the only workspace of
// the file, or Default. It is an error if the file does not list it: the command would succeed and
// have done nothing. What is held of an account that no workspace lists may be chosen too.
func (f *File) Choose(id string) (string, error) {
	var listed []string
	for _, r := range f.Regions() {
		listed = append(listed, r.Workspace)
	}
	_, _, held := schemas.ParseHeldWorkspace(id)
	switch {
	case held, f.current.Load().absent:
		return cmp.Or(id, Default), nil
	case id == "" && len(listed) == 1:
		return listed[0], nil
	case slices.Contains(listed, cmp.Or(id, Default)):
		return cmp.Or(id, Default), nil
	case id == "":
		return "", fmt.Errorf("there are several workspaces (hint: --workspace is one of %s)", strings.Join(listed, ", "))
	}
	return "", fmt.Errorf("workspace %q is not in the workspaces file (hint: --workspace is one of %s)", id,
		strings.Join(listed, ", "))
}

// Policies returns how a workspace wants its sales credited.
func (f *File) Policies(workspace string) join.Policies { return f.current.Load().policies[workspace] }

// Moved returns an error if an account's money is booked in another workspace than the file says.
// The workspace is part of the ledger's key: the same money would be booked a second time. An
// account that is listed no more has not moved: what was booked stays, and what comes is held
// apart.
func (f *File) Moved(account string, livemode bool, booked string) error {
	now, listed := f.Of(account, livemode, "")
	if !listed || now == booked {
		return nil
	}
	return fmt.Errorf("the money of account %q (livemode %t) is booked in workspace %q, "+
		"and the workspaces file now says %q: it would be counted twice "+
		"(hint: put the account back, or load everything again into an empty database)", account, livemode, booked, now)
}
