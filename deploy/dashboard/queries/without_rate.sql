-- Money that is in no USD figure, because its currency had no exchange rate yet.
SELECT toString(currency) AS currency, toString(sum(toInt128(amount))) AS amount, count() AS count
FROM revenue FINAL
WHERE workspace = {workspace:String} AND status = 'booked' AND livemode AND net_usd IS NULL
  AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
GROUP BY currency
ORDER BY currency
