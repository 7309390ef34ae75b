-- +goose Up
-- A charge may fail after it had succeeded: charge.failed is a fact, from which the ledger takes the payment back.
ALTER TABLE facts
    COMMENT COLUMN kind 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; failed: the charge failed, and whatever had been paid by it went back; authorization: less was captured than authorised; presented: what the buyer saw in another currency; settlement_… of one of them: what Stripe''s balance was moved by',
    COMMENT COLUMN amount 'Minor units, signed: money out is negative. For refunded_total, failed, authorization and presented a figure, positive. 0: nothing moved, and the total is told';
