CREATE TABLE earning_lines
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `month` Date COMMENT 'First day of the month of the statement, UTC',
    `closing` String COMMENT 'As in earning_months',
    `affiliate_id` String COMMENT 'Whose statement',
    `line` LowCardinality(String) COMMENT 'entry: of one ledger entry; carried: what the month before left unpaid',
    `entry_id` FixedString(16) COMMENT 'As in ledger; zero where the line is of no entry',
    `sale_id` String COMMENT 'As in ledger',
    `object_id` String COMMENT 'As in ledger',
    `kind` LowCardinality(String) COMMENT 'As in ledger',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'As in ledger',
    `payable_at` DateTime64(3, 'UTC') COMMENT 'When the hold of its rule ended',
    `net_usd` Decimal(18, 6) COMMENT 'As in ledger, when the month was closed',
    `rule` String COMMENT 'Name of the rule that decided',
    `products` Array(String) COMMENT 'Which products of the entry the line is of; an empty name: what names none. Empty: all of the entry',
    `restates` Bool COMMENT 'true: the difference to what closed months state of the entry',
    `usd` Decimal(18, 2) COMMENT 'What the line adds to the balance, USD'
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (workspace, livemode, month, closing, affiliate_id, line, entry_id)
ORDER BY (workspace, livemode, month, closing, affiliate_id, line, entry_id, products)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Lines of the statements of closed months; read them through statement_lines';
