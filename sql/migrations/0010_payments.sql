-- +goose Up
ALTER TABLE facts
    ADD COLUMN IF NOT EXISTS invoice_id String COMMENT 'in_… that a payment pays, as this source knows it; empty if it names none' AFTER parent_id,
    ADD COLUMN IF NOT EXISTS total Int64 COMMENT 'Minor units: what an invoice was issued for (its tax, shipping and discount are of that), or what was authorised of a charge' AFTER discount,
    ADD COLUMN IF NOT EXISTS captured Int64 COMMENT 'Minor units: how much of an authorised charge was captured; -1: not told' AFTER total,
    ADD COLUMN IF NOT EXISTS transaction_id String COMMENT 'txn_…: the balance transaction by which a dispute''s money moved; empty if none is known' AFTER invoice_id,
    MODIFY ORDER BY (workspace, object_id, kind, source, event_id, transaction_id);
ALTER TABLE facts MODIFY COLUMN object_id String COMMENT 'Stripe object that the event describes: in_…, pi_…, cs_…, ch_…, inpay_…, re_…, du_…';
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String) COMMENT 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; authorization: less was captured than authorised; presented: what the buyer saw in another currency; settlement_… of one of them: what Stripe''s balance was moved by';
ALTER TABLE facts MODIFY COLUMN parent_id String COMMENT 'Object that this one belongs to: a refund''s or dispute''s charge, else payment intent; a charge''s, session''s or invoice payment''s payment intent, else charge; a credit note''s invoice';
ALTER TABLE facts MODIFY COLUMN settled Bool COMMENT 'true: a movement of its own, whatever else becomes known; false: a payment that may be an invoice''s, or a refund that may be the release of an authorisation. true for an invoice: paid outside Stripe';
ALTER TABLE facts MODIFY COLUMN amount Int64 COMMENT 'Minor units, signed: money out is negative. For refunded_total, authorization and presented a figure, positive';
ALTER TABLE identities MODIFY COLUMN key String COMMENT 'Name: type:value, of object, movement, customer, subscription, external, reference, click, affiliate, program, promotion, coupon, code, email, link, first_sale, payment_hour, invoice_hour or lead';
ALTER TABLE ledger MODIFY COLUMN entry_id FixedString(16) COMMENT 'Hash of account, mode, object_id and kind, and of the balance transaction of a dispute or the figure of a charge''s refunded total: one movement of money is one entry';
ALTER TABLE ledger MODIFY COLUMN object_id String COMMENT 'The movement''s own object: payment intent, charge, session, invoice payment outside Stripe, refund, dispute; an invoice for what no payment of it explains';
ALTER TABLE ledger MODIFY COLUMN sale_id String COMMENT 'The sale: the invoice if there is one, else the payment''s object. A sale may have several payments; count sales by it';
ALTER TABLE ledger MODIFY COLUMN tax_derived Bool COMMENT 'true: the share of the sale''s tax that a refund or dispute takes along, because Stripe does not say it';
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'held: of an account that no workspace lists; superseded: booked under another object';

-- Entries of amount 0 say that something else has what was booked here once.
CREATE OR REPLACE VIEW ledger_current AS
SELECT * FROM ledger FINAL WHERE status = 'booked' AND amount != 0;

-- A sale that is paid in parts counts once on each day on which a part came.
CREATE OR REPLACE VIEW funnel AS
SELECT
    workspace, day, affiliate_id, link_id, utm_campaign,
    sum(clicks) AS clicks, sum(leads) AS leads, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT workspace, toDate(hour) AS day, affiliate_id, link_id, utm_campaign, uniqCombined64Merge(clicks) AS clicks, 0 AS leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_hourly
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, sum(quantity), 0, toDecimal128(0, 6)
    FROM leads_attributed FINAL
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, 0, 0, uniqExactIf(sale_id, kind = 'payment'), toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0 AND livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
)
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign;

CREATE TABLE IF NOT EXISTS ledger_rules
(
    rules UInt32 COMMENT 'Number of the rules by which every entry of the ledger was booked; 2: one payment is one entry',
    since DateTime64(3, 'UTC') COMMENT 'When the ledger was made so'
)
ENGINE = ReplacingMergeTree(since)
ORDER BY rules
COMMENT 'By which rules the ledger is booked. processor run begins only where they are its own; processor replay rebuild, with exchange, brings an older ledger to them';
