package stripe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"tributary/processor/identity"
)

// key is one name that a body gave for whoever is to be credited.
type key struct {
	node   identity.Node
	source string
	again  bool // the event changed a field to this value, which it may have had before
}

// metadata reads the keys of one metadata object.
func (ev *event) metadata(o object, field string) []key {
	meta := o.child(field)
	if !meta.present() {
		return nil
	}
	var keys []key
	meta.fields.Visit(func(k []byte, v *fastjson.Value) {
		name, target := ev.keys.target(string(k))
		if target == "" || v.Type() != fastjson.TypeString {
			return
		}
		if n, ok := ev.keys.node(target, string(v.GetStringBytes())); ok {
			keys = append(keys, key{node: n, source: "metadata." + name})
		}
	})
	return keys
}

// fields reads the metadata of an object that has each key once and whose owner may change it: a
// customer or a subscription. There the newest value replaces the older ones (join), so each says
// whose it is. Stripe gives the values that an event changed in data.previous_attributes:
// https://docs.stripe.com/api/events/object
func (ev *event) fields(o object, whose string) []key {
	keys := ev.metadata(o, "metadata")
	changed := make(map[string]bool)
	if before := ev.previous.child("metadata"); ev.previous.present() && before.present() {
		before.fields.Visit(func(k []byte, _ *fastjson.Value) {
			name, _ := ev.keys.target(string(k))
			changed["metadata."+name] = true
		})
	}
	for i, k := range keys {
		keys[i].source, keys[i].again = whose+"."+k.source, changed[k.source]
	}
	return keys
}

// removed returns the fields that an event says were emptied (see fields): each a key that names
// nothing.
func (ev *event) removed(o object, whose string) []key {
	before := ev.previous.child("metadata")
	if !ev.previous.present() || !before.present() {
		return nil
	}
	var keys []key
	left := ev.metadata(o, "metadata")
	before.fields.Visit(func(k []byte, v *fastjson.Value) {
		name, target := ev.keys.target(string(k))
		source := "metadata." + name
		if target == "" || len(v.GetStringBytes()) == 0 ||
			slices.ContainsFunc(left, func(k key) bool { return k.source == source }) {
			return
		}
		keys = append(keys, key{node: identity.New(target, ""), source: whose + "." + source, again: true})
	})
	return keys
}

// clientReference reads a session's client_reference_id. Its meaning is the seller's: with a known
// prefix it is certain; bare it counts only if it is a click of ours or turns out to be a known
// foreign click or affiliate (Push Lap Growth); "project_123" stays a reference that nothing
// resolves.
func (ev *event) clientReference(o object) []key {
	value := strings.TrimSpace(o.text("client_reference_id"))
	if r, rest, ok := ev.keys.prefixed(value); ok {
		if n, ok := ev.keys.node(r.target, rest); ok {
			return []key{{node: n, source: "client_reference_id " + r.prefix}}
		}
		return nil
	}
	if n, ok := identity.ClickRef(value); ok {
		return []key{{node: n, source: "client_reference_id"}}
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
				ev.tie(n, k)
			}
		}
		if k.node.Type() != identity.External || k.node.Value() == "" {
			continue
		}
		for _, other := range keys {
			if t := other.node.Type(); t == identity.Click ||
				(t == identity.Reference && other.source != "client_reference_id") {
				ev.tie(k.node, other)
			}
		}
	}
}

// tie says that a name has a key, and of a field that was changed also when.
func (ev *event) tie(n identity.Node, k key) {
	if k.node.Value() != "" {
		ev.edge(n, k.node, k.source)
	}
	if k.again {
		ev.edge(n, identity.NewAgain(ev.created, k.node), k.source)
	}
}

// email ties the hash of the address that lies under a key of o to each of the names, where the
// workspace wants that.
func (ev *event) email(o object, key string, names ...identity.Node) {
	if ev.keys.HashEmail == nil {
		return
	}
	address := strings.TrimSpace(o.text(key))
	if !strings.Contains(address, "@") {
		return
	}
	n := identity.New(identity.Email, fmt.Sprintf("%x", ev.keys.HashEmail(address)))
	for _, name := range names {
		if name.Value() != "" {
			ev.edge(name, n, "email")
		}
	}
}

// emailIn does the same with the address that an object within o has.
func (ev *event) emailIn(o object, within string, names ...identity.Node) {
	if ev.keys.HashEmail != nil {
		ev.email(o.child(within), "email", names...)
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
