package stripe

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"tributary/processor/identity"
)

// builtinMetadata is the union of what the link-tracking programmes write into Stripe's metadata,
// by what each names.
var builtinMetadata = map[string]string{
	"tributaryClickId": identity.Click,
	"pimmsClickId":     identity.Click,
	"dubClickId":       identity.Click,
	"tolt_referral":    identity.Click,
	"referral":         identity.Click, // Rewardful: a UUID on the customer

	"tributaryCustomerId":   identity.External,
	"pimmsCustomerId":       identity.External,
	"dubCustomerExternalId": identity.External,
	"dubCustomerId":         identity.External, // Dub's older name

	"tributaryAffiliateId": identity.Affiliate,
	"pushLapAffiliateId":   identity.Affiliate,
	"referral_code":        identity.Affiliate, // Refgrow
	"numok_tracking_code":  identity.Affiliate, // Numok

	"tributaryPromotionCode": identity.Promotion,
}

// builtinReferences are prefixes of a client_reference_id that say what the rest is.
var builtinReferences = map[string]string{"pimms_id_": identity.Click, "dub_id_": identity.Click, "tributary_id_": identity.Click}

// targets are what a key may name.
var targets = []string{identity.Click, identity.External, identity.Affiliate, identity.Promotion}

// Keys is how one workspace writes into Stripe's objects who is to be credited. It does not change
// once made.
type Keys struct {
	metadata   map[string]string
	references []reference // the longest prefix first
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
				faults = append(faults, fmt.Errorf("%q names a %q; want one of %s, or nothing to ignore it", k, target, strings.Join(targets, ", ")))
			case k == "":
				faults = append(faults, errors.New("a key is empty"))
			default:
				all[k] = target
			}
		}
		return all
	}
	k := &Keys{metadata: merge(builtinMetadata, metadata)}
	for prefix, target := range merge(builtinReferences, references) {
		k.references = append(k.references, reference{prefix, target})
	}
	slices.SortFunc(k.references, func(a, b reference) int {
		return cmp.Or(len(b.prefix)-len(a.prefix), strings.Compare(a.prefix, b.prefix))
	})
	return k, errors.Join(faults...)
}

var builtin, _ = NewKeys(nil, nil)

// Default gives the built-in keys alone.
func Default() *Keys { return builtin }

// key is one name that a body gave for whoever is to be credited.
type key struct {
	node   identity.Node
	source string
}

// node names what a value of the given type means. Not every value is a name: ids that JavaScript
// failed to fill in are none.
func node(target, value string) (identity.Node, bool) {
	n, ok := identity.ClickRef(value)
	switch {
	case !ok || target == identity.Click:
		return n, ok
	case target == identity.Promotion:
		return promotion(strings.TrimSpace(value)), true
	}
	return identity.New(target, strings.TrimSpace(value)), true
}

// metadata reads the keys of one metadata object.
func (ev *event) metadata(o object, field string) []key {
	meta := o.child(field)
	if !meta.present() {
		return nil
	}
	var keys []key
	meta.v.GetObject().Visit(func(k []byte, v *fastjson.Value) {
		target, known := ev.keys.metadata[string(k)]
		if !known || v.Type() != fastjson.TypeString {
			return
		}
		if n, ok := node(target, string(v.GetStringBytes())); ok {
			keys = append(keys, key{n, "metadata." + string(k)})
		}
	})
	return keys
}

// clientReference reads a session's client_reference_id. Its meaning is the seller's: with a known
// prefix it is certain; bare it counts only if it is a click of ours or turns out to be a known
// foreign click or affiliate (Push Lap Growth); "project_123" stays a reference that nothing
// resolves.
func (ev *event) clientReference(o object) []key {
	value := strings.TrimSpace(o.text("client_reference_id"))
	for _, r := range ev.keys.references {
		if rest, ok := strings.CutPrefix(value, r.prefix); ok {
			if n, ok := node(r.target, rest); ok {
				return []key{{n, "client_reference_id " + r.prefix}}
			}
			return nil
		}
	}
	if n, ok := identity.ClickRef(value); ok {
		return []key{{n, "client_reference_id"}}
	}
	return nil
}

// credit ties every key to each of the names: the sale itself, and the customer and subscription
// whose later sales are to find it too. A key that names the external customer also gets the
// others, so that the buyer's next session, which may carry only that id, finds them.
func (ev *event) credit(keys []key, names ...identity.Node) {
	for _, k := range keys {
		for _, n := range names {
			if n.Value() != "" {
				ev.edge(n, k.node, k.source)
			}
		}
		if k.node.Type() != identity.External {
			continue
		}
		for _, other := range keys {
			if t := other.node.Type(); t == identity.Click || (t == identity.Reference && other.source != "client_reference_id") {
				ev.edge(k.node, other.node, other.source)
			}
		}
	}
}

// email ties the hash of an address to each of the names, where the workspace wants that.
func (ev *event) email(address string, names ...identity.Node) {
	address = strings.TrimSpace(address)
	if ev.keys.HashEmail == nil || !strings.Contains(address, "@") {
		return
	}
	n := identity.New(identity.Email, fmt.Sprintf("%x", ev.keys.HashEmail(address)))
	for _, name := range names {
		if name.Value() != "" {
			ev.edge(name, n, "email")
		}
	}
}

func external(keys []key) string {
	for _, k := range keys {
		if k.node.Type() == identity.External {
			return k.node.Value()
		}
	}
	return ""
}

// certain tells whether the keys say that the seller made the object for a sale of its own: a
// promotion code or an address may stand on anything.
func certain(keys []key) bool {
	return slices.ContainsFunc(keys, func(k key) bool {
		t := k.node.Type()
		return t != identity.Promotion && t != identity.Coupon && t != identity.Code && t != identity.Email
	})
}
