package stripe

import (
	"strings"

	"github.com/valyala/fastjson"

	"tributary/processor/identity"
)

// metadataKeys is the union of what the link-tracking programmes write into Stripe's metadata, by what each names.
var metadataKeys = map[string]string{
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
}

// clickPrefixes mark a client_reference_id that is certainly a click id.
var clickPrefixes = []string{"pimms_id_", "dub_id_", "tributary_id_"}

// key is one name that a body gave for whoever is to be credited.
type key struct {
	node   identity.Node
	source string
}

// metadata reads the keys of one metadata object.
func (o object) metadata(field string) []key {
	meta := o.child(field)
	if !meta.present() {
		return nil
	}
	var keys []key
	meta.v.GetObject().Visit(func(k []byte, v *fastjson.Value) {
		typ, known := metadataKeys[string(k)]
		if !known || v.Type() != fastjson.TypeString {
			return
		}
		source := "metadata." + string(k)
		value := strings.TrimSpace(string(v.GetStringBytes()))
		node, ok := identity.ClickRef(value) // also sieves out "undefined"
		if !ok {
			return
		}
		if typ != identity.Click {
			node = identity.New(typ, value)
		}
		keys = append(keys, key{node, source})
	})
	return keys
}

// clientReference reads a session's client_reference_id. Its meaning is the seller's: with a known prefix it is a click;
// bare it counts only if it is a click of ours or turns out to be a known foreign click or affiliate (Push Lap Growth);
// "project_123" stays a reference that nothing resolves.
func (o object) clientReference() []key {
	value := strings.TrimSpace(o.text("client_reference_id"))
	for _, prefix := range clickPrefixes {
		if rest, ok := strings.CutPrefix(value, prefix); ok {
			if node, ok := identity.ClickRef(rest); ok {
				return []key{{node, "client_reference_id " + prefix}}
			}
			return nil
		}
	}
	if node, ok := identity.ClickRef(value); ok {
		return []key{{node, "client_reference_id"}}
	}
	return nil
}

// credit ties every key to each of the names: the sale itself, and the customer and subscription whose later sales are to
// find it too. A key that names the external customer also gets the others, so that the buyer's next session, which may
// carry only that id, finds them.
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

func external(keys []key) string {
	for _, k := range keys {
		if k.node.Type() == identity.External {
			return k.node.Value()
		}
	}
	return ""
}
