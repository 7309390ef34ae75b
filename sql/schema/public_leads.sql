CREATE VIEW public_leads
(
    `workspace` LowCardinality(String) COMMENT 'Whose person it is said to be',
    `person` String COMMENT 'Who it is said to be, as in leads',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When they first became a lead, UTC',
    `quantity` UInt8 COMMENT 'The most that a report of them says, 1 to 100',
    `event_name` String COMMENT 'Of the first report, like all that follows',
    `program_id` String COMMENT 'Programme of the affiliate',
    `affiliate_id` String COMMENT 'Who is credited; empty: nobody',
    `link_id` String COMMENT 'Link of the credited click',
    `utm_campaign` String COMMENT 'Campaign of the credited click',
    `country` String COMMENT 'Country of the credited click',
    `match_rule` String COMMENT 'Why, as in leads'
)
COMMENT 'Persons whom only browsers reported as a lead, so that anybody may have invented them; they are in no figure of leads'
AS WITH
    bitShiftLeft(toUInt256(toUnixTimestamp64Milli(occurred_at) + 4611686018427387904), 128) + reinterpretAsUInt128(reverse(lead_id)) AS place
SELECT
    workspace,
    person,
    fromUnixTimestamp64Milli(minIf(toUnixTimestamp64Milli(occurred_at), NOT vouched), 'UTC') AS received_at,
    maxIf(l.quantity, NOT vouched) AS quantity,
    argMinIf(l.event_name, place, NOT vouched) AS event_name,
    argMinIf(l.program_id, place, NOT vouched) AS program_id,
    argMinIf(l.affiliate_id, place, NOT vouched) AS affiliate_id,
    argMinIf(l.link_id, place, NOT vouched) AS link_id,
    argMinIf(l.utm_campaign, place, NOT vouched) AS utm_campaign,
    argMinIf(l.country, place, NOT vouched) AS country,
    argMinIf(l.match_rule, place, NOT vouched) AS match_rule
FROM leads_attributed AS l
FINAL
GROUP BY
    workspace,
    person
HAVING (countIf(NOT vouched) > 0) AND ((person = '') OR (countIf(vouched AND livemode) = 0));
