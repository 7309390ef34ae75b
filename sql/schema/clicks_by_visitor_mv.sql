CREATE MATERIALIZED VIEW clicks_by_visitor_mv TO clicks_by_visitor
(
    `workspace` LowCardinality(String),
    `hour` DateTime('UTC'),
    `visitor_link` UInt64,
    `clicked_at` DateTime64(3, 'UTC'),
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` LowCardinality(String)
)
AS SELECT
    workspace,
    toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour,
    if((visitor_id = '') AND (identity_hash = toFixedString('', 8)), sipHash64(click_id), sipHash64(if(visitor_id != '', visitor_id, hex(identity_hash)), program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id, if(concat(affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id) = '', concat(host, path), ''))) AS visitor_link,
    clicked_at,
    affiliate_id,
    link_id,
    utm_campaign
FROM clicks
WHERE NOT is_bot;
