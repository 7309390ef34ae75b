CREATE TABLE invoice_periods
(
    `workspace` LowCardinality(String) COMMENT 'As in stripe_events',
    `livemode` Bool COMMENT 'false: test mode',
    `invoice_id` String COMMENT 'in_…; sale_id in ledger and revenue',
    `nets` Array(Int64) COMMENT 'Minor units without tax, discounts subtracted, of each line of a subscription; prorations, fees and products that are bought once are left out. An invoice that begins a subscription with prorations alone has these',
    `days` Array(UInt32) COMMENT 'Days of the period of each of these lines',
    `months` Array(UInt16) COMMENT 'Whole months of the period of each of these lines; 0: it counts by its days. 28 to 31 days may be a month although the plan is of days or weeks, where only the calendar says it',
    `total` Int64 COMMENT 'Minor units without tax, discounts subtracted, of the whole invoice, shipping included',
    `version` UInt64 COMMENT 'When Stripe made the event, seconds since 1970; lines of an invoice that is no draft do not change'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, livemode, invoice_id)
SETTINGS index_granularity = 8192
COMMENT 'How much of an invoice recurs, and how often, from the lines in its events; for recurring_revenue';
