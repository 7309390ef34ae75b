-- +goose Up
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS headers Map(LowCardinality(String), String) COMMENT 'The record''s own headers: with them it can be handled again' AFTER key;
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String) COMMENT 'payment, refund, refund_reversal, refunded_total, dispute, dispute_reversal; settlement_… of one of them: what Stripe''s balance was moved by; hold_ended: no invoice claimed a held payment in time, by the processor''s own word';
