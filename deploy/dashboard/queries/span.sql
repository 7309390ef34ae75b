-- The first day with anything on it, in seconds; 0 where there is nothing.
SELECT least(
    (SELECT if(count() = 0, 9223372036854775807, toInt64(toUnixTimestamp(min(hour)))) FROM clicks_hourly WHERE workspace = {workspace:String}),
    (
        SELECT if(count() = 0, 9223372036854775807, intDiv(toUnixTimestamp64Milli(min(occurred_at)), 1000))
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND livemode
    )
) AS first
