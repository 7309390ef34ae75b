package schemas

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"
)

// Header names. HeaderVersion is on every record whose value is ours; the stripe.* headers describe
// the raw body beside them, so that the body itself stays byte for byte what Stripe signed; the
// dead letter's describe its origin.
const (
	HeaderVersion    = "v"
	HeaderReceivedAt = "received_at" // Unix milliseconds, UTC, decimal

	HeaderEventID   = "event_id"
	HeaderEventType = "type"
	// acct_… that the event names or its signing secret stands for; empty: the platform's own
	HeaderAccount    = "account"
	HeaderLivemode   = "livemode" // "true" or "false"
	HeaderAPIVersion = "api_version"
	HeaderThin       = "thin" // "true" on an event that carries no object, only its id
	// HeaderUnlisted is on an event of an account that no workspace listed when it came: the digest
	// (SecretDigest) of the secret that signed it. Such an event is held apart. It may be booked in
	// a workspace that lists the account later and the same secret with it; any other secret proves
	// nothing about that account.
	HeaderUnlisted = "unlisted"

	HeaderReason    = "reason"
	HeaderStep      = "step"
	HeaderError     = "error"
	HeaderTopic     = "topic"
	HeaderPartition = "partition"
	HeaderOffset    = "offset"
	HeaderKey       = "key"
	HeaderRecordAt  = "record_at" // the record's own time, Unix milliseconds, UTC, decimal
	HeaderOriginal  = "original." // begins the names of the record's own headers
)

// Version is the header version that this code writes, and the newest that it reads.
const Version = "1"

// ErrVersion says that a newer program wrote the record: upgrade the processor, then replay the
// dead letters.
var ErrVersion = errors.New("record version is not known to this program")

var versionHeader = kgo.RecordHeader{Key: HeaderVersion, Value: []byte(Version)}

// versionHeaders is what every record of ours carries. Its capacity is its length: whoever appends
// to it gets a copy.
var versionHeaders = []kgo.RecordHeader{versionHeader}

// ClickRecord encodes c for Kafka. The value is appended to buf[:0], which the record then owns
// until it is acknowledged.
func ClickRecord(c *Click, buf []byte) (*kgo.Record, error) {
	r := new(kgo.Record)
	return r, EncodeClick(r, c, nil, buf)
}

// Property is one of a click's properties.
type Property struct{ Name, Value string }

// EncodeClick makes of r what ClickRecord returns, in r's own memory: an edge takes tens of
// thousands a second. properties are encoded beside c's own: a list is cheaper than a map,
// which is filled, walked through twice in a random order, and emptied.
func EncodeClick(r *kgo.Record, c *Click, properties []Property, buf []byte) error {
	value, err := appendVT(buf, c)
	if err != nil {
		return fmt.Errorf("encode click: %w", err)
	}
	for i := range properties {
		value = appendProperty(value, &properties[i])
	}
	*r = kgo.Record{Topic: TopicClicks, Key: c.ClickId, Value: value, Timestamp: time.UnixMilli(c.ReceivedAt),
		Headers: versionHeaders}
	return nil
}

// propertiesField is the number of Click.properties.
const propertiesField = 19

// appendProperty appends an entry of the map Click.properties: a message of key and value, as a
// field of its own, in any order (Protocol Buffers, Encoding, Maps).
func appendProperty(b []byte, p *Property) []byte {
	const name, value = 1, 2
	entry := protowire.SizeTag(name) + protowire.SizeBytes(len(p.Name)) +
		protowire.SizeTag(value) + protowire.SizeBytes(len(p.Value))
	b = protowire.AppendTag(b, propertiesField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(entry))
	b = protowire.AppendString(protowire.AppendTag(b, name, protowire.BytesType), p.Name)
	return protowire.AppendString(protowire.AppendTag(b, value, protowire.BytesType), p.Value)
}

// LeadRecord encodes l for Kafka.
func LeadRecord(l *Lead) (*kgo.Record, error) {
	value, err := appendVT(nil, l)
	if err != nil {
		return nil, fmt.Errorf("encode lead: %w", err)
	}
	return &kgo.Record{Topic: TopicLeads, Key: []byte(l.ExternalId), Value: value, Timestamp: time.UnixMilli(l.ReceivedAt),
		Headers: versionHeaders}, nil
}

type vtMessage interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

func appendVT(buf []byte, m vtMessage) ([]byte, error) {
	n := m.SizeVT()
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := m.MarshalToSizedBufferVT(buf)
	return buf, err
}

// DecodeClick reads a record of clicks.v1. The click does not share memory with the record.
func DecodeClick(r *kgo.Record) (*Click, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	c := new(Click)
	if err := c.UnmarshalVT(r.Value); err != nil {
		return nil, fmt.Errorf("decode click: %w", err)
	}
	if len(c.ClickId) != 16 {
		return nil, fmt.Errorf("decode click: click_id has %d bytes, want 16", len(c.ClickId))
	}
	if n := len(c.IdentityHash); n != 0 && n != 8 {
		return nil, fmt.Errorf("decode click: identity_hash has %d bytes, want 8 or none", n)
	}
	return c, errors.Join(checkTime("clicked_at", c.ClickedAt), checkTime("received_at", c.ReceivedAt),
		checkTime("click_id", ClickID(c.ClickId).Time().UnixMilli()))
}

// DecodeLead reads a record of leads.v1. Vouched is never nil in what it returns.
func DecodeLead(r *kgo.Record) (*Lead, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	l := new(Lead)
	if err := l.UnmarshalVT(r.Value); err != nil {
		return nil, fmt.Errorf("decode lead: %w", err)
	}
	if len(l.LeadId) != 16 {
		return nil, fmt.Errorf("decode lead: lead_id has %d bytes, want 16", len(l.LeadId))
	}
	if n := len(l.EmailHash); n != 0 && n != 16 {
		return nil, fmt.Errorf("decode lead: email_hash has %d bytes, want 16 or none", n)
	}
	if l.Vouched == nil {
		l.Vouched = new(true) // written before the field existed, when a lead needed a secret key
	}
	return l, checkTime("received_at", l.ReceivedAt)
}

// latest is the end of what every time column holds, in 2106: a record beyond it could never be
// loaded, and would hold up its partition.
const latest = (1<<32 - 1) * 1000

func checkTime(field string, ms int64) error {
	if ms < 0 || ms > latest {
		return fmt.Errorf("decode record: %s is %d, not within Unix milliseconds of 1970 to 2106", field, ms)
	}
	return nil
}

func checkVersion(r *kgo.Record) error {
	if v := Header(r, HeaderVersion); v != Version {
		return fmt.Errorf("%w: %q, this one reads %q", ErrVersion, v, Version)
	}
	return nil
}

// Header returns the first header of that name, or "".
func Header(r *kgo.Record, name string) string {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// StripeEvent is what stands beside a raw webhook body in stripe.v1.
type StripeEvent struct {
	ID, Type, Account, APIVersion string
	Livemode                      bool
	Thin                          bool   // HeaderThin
	Unlisted                      string // HeaderUnlisted
	ReceivedAt                    time.Time
	Body                          []byte // byte for byte what Stripe signed
}

// StripeRecord makes the record of stripe.v1. key is the Stripe customer's id, else the object's.
func StripeRecord(e *StripeEvent, key string) *kgo.Record {
	r := &kgo.Record{
		Topic: TopicStripe, Key: []byte(key), Value: e.Body, Timestamp: e.ReceivedAt,
		Headers: []kgo.RecordHeader{
			versionHeader,
			{Key: HeaderReceivedAt, Value: strconv.AppendInt(nil, e.ReceivedAt.UnixMilli(), 10)},
			{Key: HeaderEventID, Value: []byte(e.ID)},
			{Key: HeaderEventType, Value: []byte(e.Type)},
			{Key: HeaderAccount, Value: []byte(e.Account)},
			{Key: HeaderLivemode, Value: strconv.AppendBool(nil, e.Livemode)},
			{Key: HeaderAPIVersion, Value: []byte(e.APIVersion)},
		},
	}
	if e.Thin {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: HeaderThin, Value: []byte("true")})
	}
	if e.Unlisted != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: HeaderUnlisted, Value: []byte(e.Unlisted)})
	}
	return r
}

// DecodeStripe reads a record of stripe.v1. Body shares memory with the record.
func DecodeStripe(r *kgo.Record) (*StripeEvent, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	ms, err := strconv.ParseInt(Header(r, HeaderReceivedAt), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("decode stripe record: header %s: %w", HeaderReceivedAt, err)
	}
	return &StripeEvent{
		ID: Header(r, HeaderEventID), Type: Header(r, HeaderEventType), Account: Header(r, HeaderAccount),
		APIVersion: Header(r, HeaderAPIVersion), Livemode: Header(r, HeaderLivemode) == "true",
		Thin: Header(r, HeaderThin) == "true", Unlisted: Header(r, HeaderUnlisted),
		ReceivedAt: time.UnixMilli(ms).UTC(), Body: r.Value,
	}, nil
}

// DeadLetterRecord returns the dead letter of r, with everything that is needed to handle r again:
// its bytes unchanged, its own headers, and where it came from. reason is a short constant that a
// metric can carry, step the step that refused r. The key is the origin, so that a second report is
// the same row. The record's own time is beside it, because a topic that was deleted and made again
// has other records at the same offsets.
func DeadLetterRecord(r *kgo.Record, step, reason string, cause error) *kgo.Record {
	origin := r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	words := ""
	if cause != nil {
		words = cause.Error()
	}
	var recordAt int64
	if !r.Timestamp.IsZero() {
		recordAt = r.Timestamp.UnixMilli()
	}
	letter := &kgo.Record{
		Topic: TopicDeadLetters, Key: []byte(origin), Value: r.Value,
		Headers: []kgo.RecordHeader{
			versionHeader,
			{Key: HeaderReason, Value: []byte(reason)},
			{Key: HeaderStep, Value: []byte(step)},
			{Key: HeaderError, Value: []byte(words)},
			{Key: HeaderTopic, Value: []byte(r.Topic)},
			{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
			{Key: HeaderOffset, Value: strconv.AppendInt(nil, r.Offset, 10)},
			{Key: HeaderKey, Value: r.Key},
			{Key: HeaderRecordAt, Value: strconv.AppendInt(nil, recordAt, 10)},
		},
	}
	for _, h := range r.Headers {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: HeaderOriginal + h.Key, Value: h.Value})
	}
	return letter
}
