package schemas

import "time"

// Topic is one row of the topic table: what is in it, how it is cut and how long it is kept. An
// incompatible change of a record is a new topic version; a compatible one is a new header version
// (HeaderVersion).
type Topic struct {
	Name       string
	Key        string // what the record's key holds
	Partitions int32  // when created by us; an operator may have more
	Retention  time.Duration
	WrittenBy  string
}

// Topic names, in one place for both programs.
const (
	TopicClicks      = "clicks.v1"
	TopicLeads       = "leads.v1"
	TopicStripe      = "stripe.v1"
	TopicDeadLetters = "deadletters.v1"
)

// Topics is every topic of Tributary. Retention is a floor for replays from Kafka: the raw tables
// in ClickHouse keep everything for longer.
var Topics = []Topic{
	{TopicClicks, "click id, 16 bytes", 12, 7 * 24 * time.Hour, "ingest clicks"},
	{TopicLeads, "external customer id", 6, 30 * 24 * time.Hour, "ingest clicks"},
	{TopicStripe, "Stripe customer id, else object id", 6, 90 * 24 * time.Hour,
		"ingest stripe; ingest clicks (movements); processor (thin events, backfill)"},
	{TopicDeadLetters, "topic/partition/offset of the record set aside", 1, 90 * 24 * time.Hour, "ingest, processor"},
}

// ConsumerGroup is the processors' group.
const ConsumerGroup = "tributary-processor"
