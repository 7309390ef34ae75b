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
AS SELECT
    workspace,
    person,
    told.1 AS received_at,
    seats AS quantity,
    told.3 AS event_name,
    told.4 AS program_id,
    told.5 AS affiliate_id,
    told.6 AS link_id,
    told.7 AS utm_campaign,
    told.8 AS country,
    told.9 AS match_rule
FROM
(
    SELECT
        workspace,
        person,
        max(quantity) AS seats,
        min((occurred_at, lead_id, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule)) AS told
    FROM leads_attributed
    FINAL
    WHERE NOT vouched
    GROUP BY
        workspace,
        person
)
WHERE (workspace, person) NOT IN (
    SELECT
        workspace,
        person
    FROM people
    WHERE livemode
);
