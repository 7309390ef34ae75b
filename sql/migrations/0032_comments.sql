-- +goose Up
-- What stands beside the columns is what analysts, dbt and assistants read.

ALTER TABLE earnings
    COMMENT COLUMN workspace 'As in ledger',
    COMMENT COLUMN livemode 'As in ledger',
    COMMENT COLUMN affiliate_id 'Who earns it',
    COMMENT COLUMN entry_id 'As in ledger',
    COMMENT COLUMN sale_id 'As in ledger',
    COMMENT COLUMN object_id 'As in ledger',
    COMMENT COLUMN kind 'As in ledger',
    COMMENT COLUMN occurred_at 'As in ledger',
    COMMENT COLUMN payable_at 'UTC: the last payment of the sale until then, and the days that the rule holds it; of money out no earlier than it occurred',
    COMMENT COLUMN net_usd 'As in ledger; entries without a rate are not here',
    COMMENT COLUMN rule 'Name of the rule that decides: the first in the file that fits the entry',
    COMMENT COLUMN usd 'What the entry earns, USD, negative for money out; rounded once, half to even',
    COMMENT COLUMN rule_in_force 'The rule itself; from and until are UTC days of the sale, percent is of net_usd, flat_usd of the whole sale';

ALTER TABLE ledger
    COMMENT COLUMN version 'Counts what the row was computed from: of rows with one key the one with the greatest version stands. It says nothing of time';

ALTER TABLE ledger_log
    COMMENT COLUMN version 'As in ledger';

ALTER TABLE ledger_current
    COMMENT COLUMN version 'As in ledger';
