CREATE TABLE identities
(
    `workspace` LowCardinality(String) COMMENT 'Names match within one workspace only',
    `key` String COMMENT 'Name: type:value, of object, movement, customer, subscription, external, reference, click, affiliate, program, promotion, coupon, code, email, link, first_sale, payment_hour, invoice_hour, lead, correction, public (what anybody may have said of another name), again (a field set back to an older value) or catalogue',
    `target` String COMMENT 'What it is another name of, or leads to, in the same form',
    `source` LowCardinality(String) COMMENT 'Field or event that said so',
    `at` DateTime64(3, 'UTC') COMMENT 'When it became true, by the source\'s own clock',
    `carried` Bool DEFAULT false COMMENT 'true: every sale that it concerns has been booked with it',
    `version` UInt64 COMMENT 'Inverse of at, then carried: the first report stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, key, target)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 10
COMMENT 'Every known name of a buyer or a sale, a grow-only set of edges, each stored in both directions';
