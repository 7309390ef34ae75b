-- What one workspace took in between two hours. The money is all that was booked; earnings per click and conversion
-- count attributed sales only, because the others did not come from these clicks as far as anybody knows.
SELECT
    clicked.clicks AS clicks,
    clicked.visitors AS visitors,
    (
        SELECT toUInt64(sum(quantity))
        FROM leads_attributed FINAL
        WHERE workspace = {workspace:String} AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    ) AS leads,
    booked.sales AS sales,
    booked.refunds AS refunds,
    booked.disputes AS disputes,
    toDecimalString(round(booked.net, 2), 2) AS net_usd,
    toDecimalString(round(booked.attributed_net / greatest(clicked.clicks, 1), 4), 4) AS epc,
    toDecimalString(round(toDecimal128(booked.attributed_sales, 8) / greatest(clicked.clicks, 1), 4), 4) AS conversion
FROM
(
    SELECT uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors
    FROM clicks_hourly
    WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')} AND hour < {to:DateTime('UTC')}
) AS clicked
CROSS JOIN
(
    SELECT
        countIf(kind = 'payment') AS sales,
        countIf(kind = 'refund') AS refunds,
        countIf(kind = 'dispute') AS disputes,
        countIf(kind = 'payment' AND match_rule NOT IN ('', 'none')) AS attributed_sales,
        sum(ifNull(net_usd, toDecimal64(0, 6))) AS net,
        sumIf(ifNull(net_usd, toDecimal64(0, 6)), match_rule NOT IN ('', 'none')) AS attributed_net
    FROM revenue FINAL
    WHERE workspace = {workspace:String} AND status = 'booked' AND livemode
      AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
) AS booked
