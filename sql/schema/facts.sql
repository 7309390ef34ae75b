CREATE TABLE facts
(
    `workspace` LowCardinality(String) COMMENT 'The account\'s workspace',
    `object_id` String COMMENT 'Stripe object that the event describes: in_…, pi_…, cs_…, ch_…, inpay_…, re_…, du_…, cn_…',
    `kind` LowCardinality(String) COMMENT 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; failed: the charge failed, and whatever had been paid by it went back; detached: the payment was taken off its invoice; transferred: a platform passed the charge on to a connected account, and the sale is the platform\'s; begun: when a charge was made that may be known by its refund alone, or an invoice finalised that was paid hours later; authorization: less was captured than authorised; presented: what the buyer saw in another currency; credited: for which lines of its invoice a refund was made, or what is due was lessened before payment, and how much of the credit note is tax; settlement_… of one of them: what Stripe\'s balance was moved by',
    `source` LowCardinality(String) COMMENT 'Object that says so: invoice, session, invoice_payment, payment_intent, charge, refund, dispute, credit_note, balance_transaction',
    `event_id` String COMMENT 'evt_… of the event that says so',
    `account` LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform\'s own',
    `livemode` Bool COMMENT 'false: test mode',
    `event_created` DateTime('UTC') COMMENT 'When Stripe made the event',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'When the money moved, as this source knows it; of the kind begun when the charge was made, or the invoice finalised',
    `parent_id` String COMMENT 'Object that this one belongs to: a refund\'s or dispute\'s charge, else payment intent; a charge\'s, session\'s or invoice payment\'s payment intent, else charge; a credit note\'s invoice',
    `invoice_id` String COMMENT 'in_… that a payment pays, as this source knows it; empty if it names none',
    `transaction_id` String COMMENT 'txn_…: the balance transaction by which a dispute\'s money moved; of credited the credit note; empty if none is known',
    `settled` Bool COMMENT 'true: a movement of its own, whatever else becomes known; false: a payment that may be an invoice\'s, or a refund that may be the release of an authorisation. true for an invoice: paid outside Stripe, or, with the amount 0, by the customer\'s balance alone; of credited: the credit note is not voided',
    `currency` LowCardinality(String) COMMENT 'Lower case',
    `amount` Int64 COMMENT 'Minor units, signed: money out is negative. For refunded_total, failed, detached, transferred, begun, authorization and presented a figure, positive. Of credited how much of the refund applies to the credit note, 0: all of it; under the credit note itself what it took off before payment. 0 of others: nothing moved, and total is known',
    `tax` Int64 COMMENT 'Minor units, signed, contained in amount, or in total where that is given',
    `shipping` Int64 COMMENT 'Minor units, signed, contained in amount',
    `discount` Int64 COMMENT 'Minor units, signed, not contained in amount',
    `total` Int64 COMMENT 'Minor units: what an invoice was issued for, what an unpaid session asks for, what a payment intent asks for that states its tax, or what a credit note gives back (tax, shipping and discount are of that), or what was authorised of a charge',
    `due` Int64 DEFAULT -1 COMMENT 'Minor units: what an invoice asks for, its total less what the customer\'s balance pays and credit notes took off before it was paid, and more where the customer owed from before. -1: not told; 0 of any other object',
    `noted` Int64 DEFAULT -1 COMMENT 'Minor units: how much credit notes that stand took off what an invoice asks for, before it was paid. -1: not told; 0 of any other object',
    `captured` Int64 COMMENT 'Minor units: how much of an authorised charge was captured; -1: the event does not say',
    `customer_id` String COMMENT 'cus_…; empty for a guest',
    `external_customer_id` String COMMENT 'The buyer\'s id in the seller\'s database, where this event named it',
    `subscription_id` String COMMENT 'sub_…; empty if none',
    `billing_reason` LowCardinality(String) COMMENT 'Stripe\'s billing_reason; empty if none',
    `line_ids` Array(String) COMMENT 'Lines of what was sold, or of what a credit note gives back: ids of the invoice\'s lines; an empty one: it is none. Empty: no product is named',
    `line_products` Array(String) COMMENT 'The product of each line: prod_…, or what the seller\'s metadata names; empty: not named, or as the invoice says',
    `line_net` Array(Int64) COMMENT 'Minor units without tax, discounts subtracted, of each line; only their proportions count',
    `version` UInt64 COMMENT 'Inverse of received_at: of two rows of one key the one that was received first stays'
)
ENGINE = ReplacingMergeTree(version)
PRIMARY KEY (workspace, object_id, kind, source, event_id)
ORDER BY (workspace, object_id, kind, source, event_id, transaction_id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 10
COMMENT 'What each Stripe event says about money, a grow-only set. A ledger entry is computed from all facts of its movement';
