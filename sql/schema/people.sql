CREATE VIEW people
(
    `workspace` LowCardinality(String) COMMENT 'Whose person it is',
    `livemode` Bool COMMENT 'false: reported by test mode only',
    `person` String COMMENT 'Who it is, as in leads',
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
COMMENT 'Persons whom a backend or Stripe reported as a lead, each once, as first reported'
AS WITH
    bitShiftLeft(toUInt256(toUnixTimestamp64Milli(occurred_at) + 4611686018427387904), 128) + reinterpretAsUInt128(reverse(lead_id)) AS place
SELECT
    workspace,
    livemode,
    if(person = '', concat('lead:', lower(hex(lead_id))), person) AS person,
    fromUnixTimestamp64Milli(min(toUnixTimestamp64Milli(occurred_at)), 'UTC') AS received_at,
    max(l.quantity) AS quantity,
    argMin(l.event_name, place) AS event_name,
    argMin(l.program_id, place) AS program_id,
    argMin(l.affiliate_id, place) AS affiliate_id,
    argMin(l.link_id, place) AS link_id,
    argMin(l.utm_campaign, place) AS utm_campaign,
    argMin(l.country, place) AS country,
    argMin(l.match_rule, place) AS match_rule
FROM leads_attributed AS l
FINAL
WHERE vouched
GROUP BY
    workspace,
    livemode,
    person
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0, empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;
