-- Clicks and net revenue by bucket of {step} seconds, 3600 or 86400; empty buckets are left out here and filled by the reader.
SELECT start, sum(c) AS clicks, toDecimalString(round(sum(net), 2), 2) AS net_usd
FROM
(
    SELECT
        toInt64(toUnixTimestamp(hour)) - toInt64(toUnixTimestamp(hour)) % {step:Int64} AS start,
        uniqCombined64Merge(clicks) AS c,
        toDecimal128(0, 6) AS net
    FROM clicks_hourly
    WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')} AND hour < {to:DateTime('UTC')}
    GROUP BY start
    UNION ALL
    SELECT
        toInt64(toUnixTimestamp(occurred_at)) - toInt64(toUnixTimestamp(occurred_at)) % {step:Int64} AS start,
        toUInt64(0) AS c,
        toDecimal128(sum(ifNull(net_usd, toDecimal64(0, 6))), 6) AS net
    FROM revenue FINAL
    WHERE workspace = {workspace:String} AND status = 'booked' AND livemode
      AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    GROUP BY start
)
GROUP BY start
ORDER BY start
