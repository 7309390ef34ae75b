-- +goose Up
-- A charge may fail after it had succeeded, and a payment may be taken off its invoice: both are facts.
ALTER TABLE facts
    COMMENT COLUMN kind 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; failed: the charge failed, and whatever had been paid by it went back; detached: the payment was taken off its invoice; authorization: less was captured than authorised; presented: what the buyer saw in another currency; settlement_… of one of them: what Stripe''s balance was moved by',
    COMMENT COLUMN amount 'Minor units, signed: money out is negative. For refunded_total, failed, detached, authorization and presented a figure, positive. 0: nothing moved, and the total is told';
