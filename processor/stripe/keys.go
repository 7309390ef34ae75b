package stripe

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/processor/identity"
	"tributary/schemas"
)

// builtinMetadata is the union of what the link-tracking programmes write into Stripe's metadata,
// by what each names.
var builtinMetadata = map[string]string{
	"tributaryClickId": identity.Click,
	"pimmsClickId":     identity.Click,
	"dubClickId":       identity.Click,
	"tolt_referral":    identity.Click,
	"referral":         identity.Click, // Rewardful: a UUID on the customer
	"fp_tid":           identity.Click, // FirstPromoter: its tracking id, from the cookie _fprom_tid
	// https://affonso.io/en/help/integrations/stripe/stripe-checkout-api: the cookie of that name;
	// PromoteKit alike.
	"promotekit_referral": identity.Click,
	"affonso_referral":    identity.Click,
	"endorsely_referral":  identity.Click, // Endorsely: the id of a visit, window.endorsely_referral

	"tributaryCustomerId":   identity.External,
	"pimmsCustomerId":       identity.External,
	"dubCustomerExternalId": identity.External,
	"dubCustomerId":         identity.External, // Dub's older name
	"fp_uid":                identity.External, // FirstPromoter
	// Cello, on the customer: https://docs.cello.so/attribution/use-cases/stripe
	"new_user_id": identity.External,

	"tributaryAffiliateId": identity.Affiliate,
	"pushLapAffiliateId":   identity.Affiliate,
	"referral_code":        identity.Affiliate, // Refgrow
	"numok_tracking_code":  identity.Affiliate, // Numok
	"cello_ucc":            identity.Affiliate, // Cello: the code of whoever referred the buyer

	"tributaryPromotionCode": identity.Promotion,
}

// builtinReferences returns the prefixes of a client_reference_id that say what the rest is.
func builtinReferences() map[string]string {
	all := make(map[string]string)
	for _, prefix := range schemas.ClickIDPrefixes {
		all[prefix] = identity.Click
	}
	return all
}

// targets are what a key may name.
var targets = []string{identity.Click, identity.External, identity.Affiliate, identity.Promotion}

// Keys is how one workspace writes into Stripe's objects who is to be credited. It does not change
// once made.
type Keys struct {
	metadata   map[string]string
	spellings  map[string]string // of the keys, without regard to case and underscores → the key
	references []reference       // the longest prefix first
	// HashEmail makes of an e-mail address the keyed hash under which leads are known by it
	// (schemas.EmailHash). nil: addresses are not looked at, the default. An address never leaves
	// this package.
	HashEmail func(address string) []byte
}

type reference struct{ prefix, target string }

// NewKeys adds a workspace's own keys to the built-in ones: metadata keys, and prefixes of
// client_reference_id, by what they name: click, external (the buyer's id in the seller's
// database), affiliate or promotion (a promotion code). An empty target takes a built-in one away.
func NewKeys(metadata, references map[string]string) (*Keys, error) {
	var faults []error
	merge := func(builtin, own map[string]string) map[string]string {
		all := maps.Clone(builtin)
		for k, target := range own {
			switch {
			case target == "":
				delete(all, k)
			case !slices.Contains(targets, target):
				faults = append(faults, fmt.Errorf("%q names a %q; want one of %s, or nothing to ignore it", k, target,
					strings.Join(targets, ", ")))
			case k == "":
				faults = append(faults, errors.New("a key is empty"))
			default:
				all[k] = target
			}
		}
		return all
	}
	k := &Keys{metadata: merge(builtinMetadata, metadata), spellings: make(map[string]string)}
	for _, key := range slices.Sorted(maps.Keys(k.metadata)) {
		k.spellings[spelling(key)] = key
	}
	for prefix, target := range merge(builtinReferences(), references) {
		k.references = append(k.references, reference{prefix, target})
	}
	slices.SortFunc(k.references, func(a, b reference) int {
		return cmp.Or(len(b.prefix)-len(a.prefix), strings.Compare(a.prefix, b.prefix))
	})
	return k, errors.Join(faults...)
}

var builtin, _ = NewKeys(nil, nil)

// Default returns the built-in keys alone.
func Default() *Keys { return builtin }

// target returns what a metadata key names. A key that is written another way (pimms_click_id for
// pimmsClickId) is the same key, unless the workspace has one of exactly that name.
func (k *Keys) target(key string) (name, target string) {
	if target, known := k.metadata[key]; known {
		return key, target
	}
	name = k.spellings[spelling(key)]
	return name, k.metadata[name]
}

// NamesAffiliate reports whether a built-in metadata key holds the id of an affiliate.
func NamesAffiliate(key string) bool {
	_, target := builtin.target(key)
	return target == identity.Affiliate
}

var separators = strings.NewReplacer("_", "", "-", "")

// spelling is what the ways to write a key have in common.
func spelling(key string) string { return strings.ToLower(separators.Replace(key)) }

// prefixed returns which reference a value begins like, and what is behind the prefix.
func (k *Keys) prefixed(value string) (r reference, rest string, ok bool) {
	for _, r := range k.references {
		if rest, ok := strings.CutPrefix(value, r.prefix); ok {
			return r, rest, true
		}
	}
	return reference{}, "", false
}

// ExternalReference divides a client_reference_id that names the buyer in the seller's database:
// into the prefix that says so, empty for a bare one, and the id.
func (k *Keys) ExternalReference(value string) (prefix, id string) {
	if r, rest, ok := k.prefixed(value); ok && r.target == identity.External {
		return r.prefix, strings.TrimSpace(rest)
	}
	return "", value
}

// node names what a value of the given type means. Not every value is a name: ids that JavaScript
// failed to fill in are none. A click may be named with the prefix that client_reference_id needs.
func (k *Keys) node(target, value string) (identity.Node, bool) {
	value = strings.TrimSpace(value)
	if r, rest, ok := k.prefixed(value); ok && target == identity.Click && r.target == target {
		value = rest
	}
	n, ok := identity.ClickRef(value)
	switch {
	case !ok || target == identity.Click:
		return n, ok
	case target == identity.Promotion:
		return promotion(value), true
	}
	return identity.New(target, value), true
}
