-- +goose Up
-- Comments say what an event or a report "says", and that its first report stays: "told" had to be
-- read twice.

ALTER TABLE facts
    COMMENT COLUMN source 'Object that says so: invoice, session, invoice_payment, payment_intent, charge, refund, dispute, credit_note, balance_transaction',
    COMMENT COLUMN event_id 'evt_… of the event that says so',
    COMMENT COLUMN amount 'Minor units, signed: money out is negative. For refunded_total, failed, detached, authorization and presented a figure, positive. 0: nothing moved, and total is known',
    COMMENT COLUMN captured 'Minor units: how much of an authorised charge was captured; -1: the event does not say',
    COMMENT COLUMN version 'Inverse of received_at: of two rows of one key the one that was received first stays';

ALTER TABLE first_names
    COMMENT COLUMN target 'What the first report under this name named: click:ID or program:ID',
    COMMENT COLUMN version 'Inverse of at, then a hash of target: the first report stays';
ALTER TABLE first_names MODIFY COMMENT 'What the first click or browser that used a name said of it: one row a name, however many clicks carry it';

ALTER TABLE identities
    COMMENT COLUMN version 'Inverse of at, then carried: the first report stays';

ALTER TABLE leads
    COMMENT COLUMN workspace 'Owner of the secret key that reported it',
    COMMENT COLUMN lead_id 'Hash of workspace, external_id and event_name: the same lead reported twice is one row',
    COMMENT COLUMN received_at 'When the edge took it; of a lead that Stripe reported, when it became one',
    COMMENT COLUMN mode 'async, wait or deferred; a deferred lead only binds names and is not counted; stripe: reported by a Stripe event',
    COMMENT COLUMN livemode 'false: reported by a Stripe event of test mode; what a backend reports is live';

ALTER TABLE ledger_log MODIFY COMMENT 'Every version of every entry ever written: what processor explain shows';
