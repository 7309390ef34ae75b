-- +goose Up
-- Where a customer owed from before as much as a credit note took off, what an invoice asks for does not tell whether the note was voided.
-- Stored rows do not say it until "processor replay rebuild --exchange" has read the events again. Executed again, nothing is left to do.
ALTER TABLE facts
    ADD COLUMN IF NOT EXISTS noted Int64 DEFAULT -1 COMMENT 'Minor units: how much credit notes that stand took off what an invoice asks for, before it was paid. -1: not told; 0 of any other object' AFTER due;
