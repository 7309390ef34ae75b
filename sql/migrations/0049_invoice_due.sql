-- +goose Up
-- What an invoice asks for after the customer's balance: what is paid beyond it has no tax. Stored rows do not say it until
-- "processor replay rebuild --exchange" has read the events again. Executed again, nothing is left to do.
ALTER TABLE facts
    ADD COLUMN IF NOT EXISTS due Int64 DEFAULT -1 COMMENT 'Minor units: what an invoice asks for, its total less what the customer''s balance pays and credit notes took off before it was paid, and more where the customer owed from before. -1: not told; 0 of any other object' AFTER total;
