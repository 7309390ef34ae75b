CREATE TABLE facts
(
    `workspace` LowCardinality(String) COMMENT 'The account\'s workspace',
    `object_id` String COMMENT 'Stripe object under which this source books the movement: in_…, pi_…, cs_…, ch_…, re_…',
    `kind` LowCardinality(String) COMMENT 'payment, refund, refund_reversal, refunded_total, dispute, dispute_reversal; settlement_… of one of them: what Stripe\'s balance was moved by; hold_ended: no invoice claimed a held payment in time, by the processor\'s own word',
    `source` LowCardinality(String) COMMENT 'Object that told it: invoice, session, invoice_payment, payment_intent, charge, refund, dispute, credit_note, balance_transaction',
    `event_id` String COMMENT 'evt_… that told it',
    `account` LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform\'s own',
    `livemode` Bool COMMENT 'false: test mode',
    `event_created` DateTime('UTC') COMMENT 'When Stripe made the event',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'When the money moved, as this source knows it',
    `parent_id` String COMMENT 'Object of the sale that a refund or dispute belongs to (pi_… or ch_…); empty for payments',
    `settled` Bool COMMENT 'true: certainly a movement of its own; false: to be held until known',
    `currency` LowCardinality(String) COMMENT 'Lower case',
    `amount` Int64 COMMENT 'Minor units, signed: money out is negative. For refunded_total the cumulative figure, positive',
    `tax` Int64 COMMENT 'Minor units, signed, contained in amount',
    `shipping` Int64 COMMENT 'Minor units, signed, contained in amount',
    `discount` Int64 COMMENT 'Minor units, signed, not contained in amount',
    `customer_id` String COMMENT 'cus_…; empty for a guest',
    `external_customer_id` String COMMENT 'The buyer\'s id in the seller\'s database, where this event named it',
    `subscription_id` String COMMENT 'sub_…; empty if none',
    `billing_reason` LowCardinality(String) COMMENT 'Stripe\'s billing_reason; empty if none',
    `version` UInt64 COMMENT 'Inverse of received_at: the first telling stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, object_id, kind, source, event_id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each Stripe event says about money, a grow-only set. A ledger entry is computed from all facts of its movement';
