-- +goose Up
-- A redirect reports a click under an id of its own (dub_id, pimms_id …), hands the id on in the address, and the page that the
-- visitor arrives at reports it again. That is one arrival, though the two reports know different links and visitors.

-- A click counts unless one that counts, of the same visitor and link or with the same foreign_id, precedes it by at most an hour.
-- arrayFold walks through the clicks of one visitor and link, or of one foreign_id, and collects the repeated ones. The rest is
-- as in 0018_click_days.sql, which explains it; clicks_by_dimension has the same rule since 0026_counted_clicks.sql.
CREATE OR REPLACE VIEW clicks_counted AS
SELECT
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, referrer_domain,
    concat(host, path) AS landing_page, country, device, browser, visitor
FROM clicks FINAL
WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
    AND click_id NOT IN
    (
        SELECT arrayJoin(arrayFold(
            (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
            arraySort(groupArray((clicked_at, click_id))),
            (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
        FROM clicks FINAL
        ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
        WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} - toIntervalDay(1) AND clicked_at < {to:DateTime('UTC')}
        GROUP BY arrival
        HAVING count() > 1
    );

-- Days that were counted by the rule before are counted again, but for those of which nothing is left to count (retention).
INSERT INTO click_days (workspace, day, changed_at)
SELECT workspace, toDate(clicked_at) AS day, now64(3, 'UTC')
FROM clicks
WHERE foreign_id != '' AND (url != '' OR user_agent != '')
GROUP BY workspace, day;
