-- +goose Up
ALTER TABLE pipeline_status
    COMMENT COLUMN verdict 'Of checks good, findings or, of reconcile, unproven (no difference, but not everything could be compared); of a backfill under_way or done; of lag empty',
    COMMENT COLUMN number 'Of lag records in Kafka behind the committed offsets: not handled yet, or, after a start, read again; of checks findings, of a backfill the lists that are read';

-- Credit notes that were issued before payment.
ALTER TABLE facts
    COMMENT COLUMN object_id 'Stripe object that the event describes: in_…, pi_…, cs_…, ch_…, inpay_…, re_…, du_…, cn_…',
    COMMENT COLUMN kind 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; failed: the charge failed, and whatever had been paid by it went back; detached: the payment was taken off its invoice; transferred: a platform passed the charge on to a connected account, and the sale is the platform''s; begun: when a charge was made that may be known by its refund alone, or an invoice finalised that was paid hours later; authorization: less was captured than authorised; presented: what the buyer saw in another currency; credited: for which lines of its invoice a refund was made, or what is due was lessened before payment, and how much of the credit note is tax; settlement_… of one of them: what Stripe''s balance was moved by',
    COMMENT COLUMN settled 'true: a movement of its own, whatever else becomes known; false: a payment that may be an invoice''s, or a refund that may be the release of an authorisation. true for an invoice: paid outside Stripe, or, with the amount 0, by the customer''s balance alone; of credited: the credit note is not voided',
    COMMENT COLUMN amount 'Minor units, signed: money out is negative. For refunded_total, failed, detached, transferred, begun, authorization and presented a figure, positive. Of credited how much of the refund applies to the credit note, 0: all of it; under the credit note itself what it took off before payment. 0 of others: nothing moved, and total is known';
