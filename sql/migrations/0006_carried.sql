-- +goose Up
ALTER TABLE identities ADD COLUMN IF NOT EXISTS carried Bool DEFAULT false COMMENT 'true: every sale that it concerns has been booked with it' AFTER at;
ALTER TABLE identities MODIFY COLUMN version UInt64 COMMENT 'Inverse of at, then carried: the first telling stays';
ALTER TABLE identities MODIFY COLUMN key String COMMENT 'Name: type:value, of object, movement, customer, subscription, external, reference, click, affiliate, program, promotion, coupon, code, email, link, first_sale or lead';
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String) COMMENT 'payment, refund, refund_reversal, refunded_total, dispute, dispute_reversal; settlement_… of one of them: what Stripe''s balance was moved by';
ALTER TABLE facts MODIFY COLUMN source LowCardinality(String) COMMENT 'Object that told it: invoice, session, invoice_payment, payment_intent, charge, refund, dispute, credit_note, balance_transaction';
ALTER TABLE ledger MODIFY COLUMN fx_source LowCardinality(String) COMMENT 'Where the rate is from; usd: no conversion; stripe: what Stripe settled; empty: no rate yet';
ALTER TABLE leads MODIFY COLUMN received_at DateTime64(3, 'UTC') COMMENT 'When the edge took it; of a lead told by Stripe, when it became one';
ALTER TABLE leads MODIFY COLUMN mode LowCardinality(String) COMMENT 'async, wait or deferred; a deferred lead only binds names and is not counted; stripe: told by a Stripe event';
ALTER TABLE leads MODIFY COLUMN match_rule LowCardinality(String) COMMENT 'click_id, external_customer, stripe_customer, subscription or none';
