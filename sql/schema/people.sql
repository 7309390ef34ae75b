CREATE VIEW people
(
    `workspace` LowCardinality(String),
    `livemode` Bool,
    `person` String,
    `received_at` DateTime64(3, 'UTC'),
    `quantity` UInt8,
    `event_name` String,
    `program_id` String,
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` String,
    `country` String,
    `match_rule` String
)
AS SELECT
    workspace,
    livemode,
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
        livemode,
        if(person = '', concat('lead:', lower(hex(lead_id))), person) AS person,
        max(quantity) AS seats,
        min((received_at, lead_id, event_name, program_id, affiliate_id, link_id, utm_campaign, country, match_rule)) AS told
    FROM leads_attributed
    FINAL
    GROUP BY
        workspace,
        livemode,
        person
);
