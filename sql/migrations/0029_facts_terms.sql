-- +goose Up
-- A session that completes unpaid tells the total and tax of its payment; an invoice that the customer's
-- balance pays tells that nothing moved. Both are facts of the amount 0.
ALTER TABLE facts
    COMMENT COLUMN settled 'true: a movement of its own, whatever else becomes known; false: a payment that may be an invoice''s, or a refund that may be the release of an authorisation. true for an invoice: paid outside Stripe, or, with the amount 0, by the customer''s balance alone',
    COMMENT COLUMN amount 'Minor units, signed: money out is negative. For refunded_total, authorization and presented a figure, positive. 0: nothing moved, and the total is told',
    COMMENT COLUMN tax 'Minor units, signed, contained in amount, or in total where that is given',
    COMMENT COLUMN total 'Minor units: what an invoice was issued for, or what an unpaid session asks for (tax, shipping and discount are of that), or what was authorised of a charge';
