CREATE VIEW clicks_by_day_computed
AS SELECT
    dimension,
    value,
    day,
    countIf(is_click AND counts) AS clicks,
    countIf(NOT is_click) AS page_views,
    uniqState(visitor) AS visitors,
    sumMapIf(map(quarter, toUInt64(1)), is_click AND counts) AS clicks_at,
    sumMapIf(map(quarter, toUInt64(1)), NOT is_click) AS page_views_at
FROM
(
    SELECT
        true AS is_click,
        counts,
        toDate(clicked_at) AS day,
        toUInt8((toHour(clicked_at) * 4) + intDiv(toMinute(clicked_at), 15)) AS quarter,
        visitor,
        CAST([('', ''), ('program', program_id), ('affiliate', affiliate_id), ('link', link_id), ('campaign', utm_campaign), ('source', utm_source), ('channel', channel), ('referrer', referrer_domain), ('landing_page', landing_page), ('country', country), ('device', device), ('browser', browser), ('affiliate_link_campaign', concat(affiliate_id, '\n', link_id, '\n', utm_campaign))], 'Array(Tuple(String, String))') AS dimensions
    FROM clicks_seen(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, open_only = {open_only:Bool})
    UNION ALL
    SELECT
        false,
        false,
        toDate(viewed_at),
        toUInt8((toHour(viewed_at) * 4) + intDiv(toMinute(viewed_at), 15)),
        visitor,
        CAST([('', ''), ('program', program_id), ('affiliate', ''), ('link', link_id), ('campaign', ''), ('source', ''), ('channel', channel), ('referrer', referrer_domain), ('landing_page', concat(host, path)), ('country', country), ('device', device), ('browser', browser), ('affiliate_link_campaign', concat('\n', link_id, '\n'))], 'Array(Tuple(String, String))')
    FROM page_views
    FINAL
    WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (viewed_at >= {from:DateTime('UTC')}) AND (viewed_at < {to:DateTime('UTC')}) AND ((NOT {open_only:Bool}) OR (toDate(viewed_at) IN (
        SELECT day
        FROM click_days_open(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    )))
)
ARRAY JOIN
    dimensions.1 AS dimension,
    dimensions.2 AS value
GROUP BY
    dimension,
    value,
    day;
