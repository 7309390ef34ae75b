-- The latest movements of money, each with why it was credited. Minor units become text in Go: how many digits a currency
-- has is Stripe's rule, not ClickHouse's.
SELECT
    toUnixTimestamp64Milli(occurred_at) AS at,
    toString(kind) AS kind,
    object_id,
    sale_id,
    toString(currency) AS currency,
    toString(amount) AS amount,
    if(net_usd IS NULL, NULL, toDecimalString(round(assumeNotNull(net_usd), 2), 2)) AS net_usd,
    toString(fx_source) AS fx_source,
    affiliate_id,
    link_id,
    toString(utm_campaign) AS campaign,
    toString(match_rule) AS match_rule,
    match_key,
    if(clicked_at IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(clicked_at))) AS clicked
FROM revenue FINAL
WHERE workspace = {workspace:String} AND status = 'booked' AND livemode
  AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
ORDER BY occurred_at DESC, object_id
LIMIT 25
