-- +goose Up
-- Sales were counted by their ids, which are texts. Most sales have one payment, which is counted without comparing it with others; what
-- has several is kept beside the first sales. Both, and whether a sale is a first one, need the hash of the id alone, so revenue has it:
-- computed from the row itself, as the buyer is.
-- Of a sale that several buyers paid, the buyer is who paid first: questions about buyers look at those who share a sale, too.
ALTER TABLE revenue
    ADD COLUMN IF NOT EXISTS sale UInt64 MATERIALIZED sipHash64(sale_id) COMMENT 'sipHash64 of sale_id' AFTER sale_id;
ALTER TABLE revenue MATERIALIZE COLUMN sale; -- until this ends it is computed when it is read, and entries may be written

ALTER TABLE first_sales
    ADD COLUMN IF NOT EXISTS paid_again Array(Bool) COMMENT 'Whether the sale has several payments' AFTER sales,
    ADD COLUMN IF NOT EXISTS shared Array(UInt64) COMMENT 'Buyers who paid a part of a sale that another buyer paid a part of' AFTER entries,
    ADD COLUMN IF NOT EXISTS several Array(UInt64) COMMENT 'sipHash64 of all sales that have several payments, in the slice of its remainder by 16' AFTER shared,
    ADD COLUMN IF NOT EXISTS complete Bool DEFAULT false COMMENT 'Paid_again, shared and several were computed, and no two sales in several have the same hash; only then these lists are read' AFTER several;
