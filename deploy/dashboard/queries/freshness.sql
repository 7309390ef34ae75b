-- When the edge took the last click, when the last lead and when the last sale was made, in Unix milliseconds; 0 where there
-- is none. A last click that is older than the minutes are kept is told by its hour.
SELECT
    (
        SELECT toUnixTimestamp64Milli(max(last_received))
        FROM clicks_minutely
        WHERE workspace = {workspace:String}
    ) AS click,
    (
        SELECT toInt64(toUnixTimestamp(max(hour))) * 1000
        FROM clicks_hourly
        WHERE workspace = {workspace:String}
    ) AS hour,
    (
        SELECT toUnixTimestamp64Milli(max(occurred_at))
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND livemode AND kind = 'payment'
    ) AS sale
