-- +goose Up
-- The two clicks of one id in two workspaces are two clicks: the workspace joins the key. A table cannot change its key, so it is made
-- anew beside the live one and exchanged in one step. Interrupted anywhere, it is begun again: `clicks` is complete before and after
-- the exchange. Processors must be stopped meanwhile.
ALTER TABLE clicks ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT false COMMENT 'true: a secret key came with it, a backend wrote it; false: anybody may have written it' AFTER consent;
DROP TABLE IF EXISTS clicks_anew SYNC;
CREATE TABLE clicks_anew AS clicks
ENGINE = ReplacingMergeTree(version)
-- The month comes from the id itself, not from clicked_at: two tellings of one id must meet in one partition, or neither replaces the other.
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC'))
ORDER BY (workspace, click_id)
-- 256, not 8192: a lookup of 100 ids reads 18 ms instead of 42 among 50 million rows, for 8 MiB of marks and keys.
SETTINGS index_granularity = 256
COMMENT 'Every click, one row an id and workspace; the truth and the join''s store';
INSERT INTO clicks_anew SELECT * FROM clicks SETTINGS max_partitions_per_insert_block = 0;
EXCHANGE TABLES clicks_anew AND clicks;
DROP TABLE clicks_anew SYNC;

CREATE TABLE IF NOT EXISTS first_names
(
    workspace LowCardinality(String) COMMENT 'Names match within one workspace only',
    name      String COMMENT 'reference:ID (a foreign click id) or affiliate:ID, where a secret key vouched for the click; public:… in front where anybody may have said so',
    target    String COMMENT 'What was told first under it: click:ID or program:ID',
    source    LowCardinality(String) COMMENT 'click.foreign_id, click.affiliate_id, lead.public',
    at        DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    version   UInt128 COMMENT 'Inverse of at, then a hash of target: the first telling stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, name)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What clicks and browsers told first under a name: one row a name, however many clicks carry it';

-- Clicks from before count as written by anybody. Until now each of them had an edge of its own under its name.
INSERT INTO first_names
SELECT workspace, name, tupleElement(f, 2) AS target, source, fromUnixTimestamp64Milli(toInt64(tupleElement(f, 1)), 'UTC') AS at,
    bitOr(bitShiftLeft(toUInt128(bitNot(toUInt64(tupleElement(f, 1)))), 64), toUInt128(reinterpretAsUInt64(reverse(substring(SHA256(target), 1, 8))))) AS version
FROM
(
    SELECT workspace, name, any(source) AS source, argMin((ms, target), (ms, bitNot(reinterpretAsUInt64(reverse(substring(SHA256(target), 1, 8)))))) AS f
    FROM
    (
        SELECT workspace, concat('public:reference:', foreign_id) AS name, concat('click:', UUIDNumToString(click_id)) AS target, 'click.foreign_id' AS source, toUnixTimestamp64Milli(received_at) AS ms
        FROM clicks FINAL WHERE foreign_id != '' AND NOT vouched
        UNION ALL
        SELECT workspace, concat('public:affiliate:', affiliate_id), concat('program:', program_id), 'click.affiliate_id', toUnixTimestamp64Milli(received_at)
        FROM clicks FINAL WHERE affiliate_id != '' AND NOT vouched
    )
    GROUP BY workspace, name
);
ALTER TABLE identities MODIFY COLUMN key String COMMENT 'Name: type:value, of object, movement, customer, subscription, external, reference, click, affiliate, program, promotion, coupon, code, email, link, first_sale, payment_hour, invoice_hour, lead, correction, public (what anybody may have said of another name), again (a field set back to an older value) or catalogue';
INSERT INTO identities (workspace, key, target, source, at, version)
SELECT workspace, key, target, source, at, 18446744073709551615 - 2 * toUInt64(toUnixTimestamp64Milli(at)) - 1
FROM
(
    SELECT workspace, name AS key, substring(name, 8) AS target, source, at FROM first_names FINAL WHERE startsWith(name, 'public:')
    UNION ALL
    SELECT workspace, substring(name, 8), name, source, at FROM first_names FINAL WHERE startsWith(name, 'public:')
);
ALTER TABLE identities DELETE WHERE source IN ('click.foreign_id', 'click.affiliate_id') AND NOT startsWith(key, 'public:') AND NOT startsWith(target, 'public:') SETTINGS mutations_sync = 2;

ALTER TABLE leads ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true COMMENT 'false: told by a Stripe event of test mode; what a backend reports is live' AFTER quantity;
ALTER TABLE leads ADD COLUMN IF NOT EXISTS person String COMMENT 'Who it is, type:value: the seller''s own id, else the Stripe customer, else the hash of the e-mail address. Count persons, not rows' AFTER livemode;
ALTER TABLE leads MODIFY COLUMN match_rule LowCardinality(String) COMMENT 'click_id, external_customer, stripe_customer, subscription, reference or none';
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true COMMENT 'As in leads' AFTER quantity;
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS person String COMMENT 'As in leads' AFTER livemode;
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS event_name LowCardinality(String) COMMENT 'As in leads' AFTER person;
ALTER TABLE leads_attributed_mv MODIFY QUERY
SELECT workspace, lead_id, received_at, quantity, livemode, person, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule, version
FROM leads
WHERE mode != 'deferred';

-- A person is counted once, when and as they were first told of: "Sign up" by the backend, "New customer" and "Started Trial" by Stripe
-- are one person.
CREATE OR REPLACE VIEW people AS
SELECT
    workspace, livemode, person, told.1 AS received_at, seats AS quantity, told.3 AS event_name, told.4 AS program_id, told.5 AS affiliate_id,
    told.6 AS link_id, told.7 AS utm_campaign, told.8 AS country, told.9 AS match_rule
FROM
(
    SELECT
        workspace, livemode, if(person = '', concat('lead:', lower(hex(lead_id))), person) AS person, max(quantity) AS seats,
        min((received_at, lead_id, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule)) AS told
    FROM leads_attributed FINAL
    GROUP BY workspace, livemode, person
);

CREATE OR REPLACE VIEW funnel AS
SELECT
    workspace, day, affiliate_id, link_id, utm_campaign,
    sum(clicks) AS clicks, sum(leads) AS leads, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT workspace, toDate(hour) AS day, affiliate_id, link_id, utm_campaign, uniqCombined64Merge(clicks) AS clicks, 0 AS leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_hourly
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, sum(quantity), 0, toDecimal128(0, 6)
    FROM people
    WHERE livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, 0, 0, uniqExactIf(sale_id, kind = 'payment'), toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0 AND livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
)
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign;
