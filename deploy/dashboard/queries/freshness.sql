-- The newest hour with clicks, how many clicks it and the hour before hold, and the latest sale; 0 where there is none.
-- {from} bounds the counting, not the search: it is the hour before the current one.
SELECT
    (
        SELECT toInt64(toUnixTimestamp(max(hour)))
        FROM clicks_hourly
        WHERE workspace = {workspace:String}
    ) AS hour,
    (
        SELECT uniqCombined64Merge(clicks)
        FROM clicks_hourly
        WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')}
    ) AS recent,
    (
        SELECT max(toUnixTimestamp64Milli(occurred_at))
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND livemode AND kind = 'payment'
    ) AS sale
