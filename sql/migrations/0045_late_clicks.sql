-- +goose Up
-- A late click changes more figures than those of its own day: a click within the next hour, perhaps after midnight, becomes a repeated
-- one; and where it stands in the place of another click under its id, that one no longer counts on its day, which is nearly always
-- the day of the id.
ALTER TABLE click_days_mv MODIFY QUERY
SELECT
    workspace, arrayJoin(arrayDistinct([clicked, clicked + 1, named, named + 1])) AS day, changed_at,
    if(day = clicked, last_received, toDateTime64(0, 3, 'UTC')) AS last_click_received
FROM
(
    SELECT
        workspace, toDate(clicked_at) AS clicked, toDate(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC')) AS named,
        now64(3, 'UTC') AS changed_at, maxIf(received_at, NOT is_bot) AS last_received
    FROM clicks
    GROUP BY workspace, clicked, named
);

ALTER TABLE click_days COMMENT COLUMN changed_at 'When something was last inserted that may change this day: a click or page view of it, a click of the day before, or one under an id of either. Read with max';
