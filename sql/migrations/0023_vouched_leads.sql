-- +goose Up
-- A lead that only a browser reported may be anybody's invention: it is counted apart from those that a backend or Stripe reported.
ALTER TABLE leads ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true COMMENT 'true: a backend with the secret key reported it, or Stripe; false: a browser did, so anybody may have written it' AFTER livemode;
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true COMMENT 'As in leads' AFTER livemode;
ALTER TABLE leads_attributed_mv MODIFY QUERY
SELECT workspace, lead_id, received_at, quantity, livemode, vouched, person, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule, version
FROM leads
WHERE mode != 'deferred';

-- Of what is stored, browsers' leads are those that name no buyer: a backend's lead is another name of its external id, and a browser's
-- is none. Rows are replaced under their own version, so that the statement may be executed again; the view above replaces the narrow ones.
INSERT INTO leads
SELECT * REPLACE (false AS vouched)
FROM leads FINAL
WHERE mode != 'stripe' AND external_id != ''
    AND (workspace, concat('lead:', lower(hex(lead_id)))) NOT IN (SELECT workspace, key FROM identities WHERE source = 'lead.external_id' AND startsWith(key, 'lead:'));

CREATE OR REPLACE VIEW people
(
    workspace    LowCardinality(String) COMMENT 'Whose person it is',
    livemode     Bool COMMENT 'false: reported by test mode only',
    person       String COMMENT 'Who it is, as in leads',
    received_at  DateTime64(3, 'UTC') COMMENT 'When they were first reported, UTC',
    quantity     UInt8 COMMENT 'The most that a report of them says, 1 to 100',
    event_name   String COMMENT 'Of the first report, like all that follows',
    program_id   String COMMENT 'Programme of the affiliate',
    affiliate_id String COMMENT 'Who is credited; empty: nobody',
    link_id      String COMMENT 'Link of the credited click',
    utm_campaign String COMMENT 'Campaign of the credited click',
    country      String COMMENT 'Country of the credited click',
    match_rule   String COMMENT 'Why, as in leads'
)
AS SELECT
    workspace, livemode, person, told.1 AS received_at, seats AS quantity, told.3 AS event_name, told.4 AS program_id, told.5 AS affiliate_id,
    told.6 AS link_id, told.7 AS utm_campaign, told.8 AS country, told.9 AS match_rule
FROM
(
    SELECT
        workspace, livemode, if(person = '', concat('lead:', lower(hex(lead_id))), person) AS person, max(quantity) AS seats,
        min((received_at, lead_id, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule)) AS told
    FROM leads_attributed FINAL
    WHERE vouched
    GROUP BY workspace, livemode, person
)
COMMENT 'Persons whom a backend or Stripe reported as a lead, each once, as first reported';

CREATE VIEW IF NOT EXISTS public_leads
(
    workspace    LowCardinality(String) COMMENT 'Whose person it is said to be',
    person       String COMMENT 'Who it is said to be, as in leads',
    received_at  DateTime64(3, 'UTC') COMMENT 'When they were first reported, UTC',
    quantity     UInt8 COMMENT 'The most that a report of them says, 1 to 100',
    event_name   String COMMENT 'Of the first report, like all that follows',
    program_id   String COMMENT 'Programme of the affiliate',
    affiliate_id String COMMENT 'Who is credited; empty: nobody',
    link_id      String COMMENT 'Link of the credited click',
    utm_campaign String COMMENT 'Campaign of the credited click',
    country      String COMMENT 'Country of the credited click',
    match_rule   String COMMENT 'Why, as in leads'
)
AS SELECT
    workspace, person, told.1 AS received_at, seats AS quantity, told.3 AS event_name, told.4 AS program_id, told.5 AS affiliate_id,
    told.6 AS link_id, told.7 AS utm_campaign, told.8 AS country, told.9 AS match_rule
FROM
(
    SELECT
        workspace, person, max(quantity) AS seats,
        min((received_at, lead_id, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule)) AS told
    FROM leads_attributed FINAL
    WHERE NOT vouched
    GROUP BY workspace, person
)
WHERE (workspace, person) NOT IN (SELECT workspace, person FROM people WHERE livemode)
COMMENT 'Persons whom only browsers reported as a lead, so that anybody may have invented them; they are in no figure of leads';

CREATE OR REPLACE VIEW funnel
(
    workspace    LowCardinality(String) COMMENT 'Owner of clicks, leads and sales',
    day          Date COMMENT 'UTC day of the click, the first report, the movement of money',
    affiliate_id String COMMENT 'Who is credited; empty: nobody',
    link_id      String COMMENT 'Link of the click',
    utm_campaign String COMMENT 'Campaign of the click',
    clicks       UInt64 COMMENT 'Clicks that count',
    leads        UInt64 COMMENT 'Persons whom a backend or Stripe reported, each once',
    public_leads UInt64 COMMENT 'Persons whom only browsers reported: anybody may have invented them',
    sales        UInt64 COMMENT 'Sales of which something was paid on the day',
    net_usd      Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out'
)
AS SELECT
    workspace, day, affiliate_id, link_id, utm_campaign,
    sum(clicks) AS clicks, sum(leads) AS leads, sum(public_leads) AS public_leads, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, clicks, 0 AS leads, 0 AS public_leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_daily
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, sum(quantity), 0, 0, toDecimal128(0, 6)
    FROM people
    WHERE livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, 0, sum(quantity), 0, toDecimal128(0, 6)
    FROM public_leads
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, 0, 0, 0, uniqExactIf(sale_id, kind = 'payment'), toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0 AND livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
)
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
COMMENT 'Clicks, leads and live money by day, affiliate, link and campaign';
