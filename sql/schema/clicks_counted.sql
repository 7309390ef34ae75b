CREATE VIEW clicks_counted
COMMENT 'Clicks that count, each with its columns; parameters: workspace, from, to'
AS SELECT
    click_id,
    clicked_at,
    program_id,
    affiliate_id,
    link_id,
    utm_source,
    utm_medium,
    utm_campaign,
    channel,
    referrer_domain,
    concat(host, path) AS landing_page,
    country,
    device,
    browser,
    visitor
FROM clicks
FINAL
WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (clicked_at >= {from:DateTime('UTC')}) AND (clicked_at < {to:DateTime('UTC')}) AND (click_id NOT IN (
    SELECT arrayJoin((arrayFold((known, click) -> if((click.1) > ((known.1) + toIntervalHour(1)), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))), arraySort(groupArray((clicked_at, click_id))), (toDateTime64(0, 3, 'UTC'), CAST('[]', 'Array(FixedString(16))')))).2)
    FROM clicks
    FINAL
    ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
    WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (clicked_at >= (toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(1))) AND (clicked_at < {to:DateTime('UTC')})
    GROUP BY arrival
    HAVING count() > 1
));
