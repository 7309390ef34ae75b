-- +goose Up
-- Payment intents and credit notes state their own tax. Stored facts do not say it until "processor replay rebuild --exchange" has read
-- the events again.
ALTER TABLE facts
    COMMENT COLUMN transaction_id 'txn_…: the balance transaction by which a dispute''s money moved; of credited the credit note; empty if none is known',
    COMMENT COLUMN total 'Minor units: what an invoice was issued for, what an unpaid session asks for, what a payment intent asks for that states its tax, or what a credit note gives back (tax, shipping and discount are of that), or what was authorised of a charge';
