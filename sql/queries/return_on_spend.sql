-- What did each channel, campaign, source or affiliate cost, and what did it bring?
-- spend: of the table spend, for days from the day of from to the day before to; net: of attributed money of the time, without tax, refunds
-- and disputes subtracted when they happened. roas: net for each unit of spend; cost_per_click, cost_per_customer (first sales that are
-- attributed): spend for each. NULL: nothing to divide by, or none of the money that is divided has a rate. Spend whose currency has no
-- rate on its day, and money without a rate, are left out, and counted. Begin and end at midnight UTC, or days of spend are compared with parts of days.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'channel': affiliate, source, campaign or channel
-- @param currency String = 'usd': ISO 4217 in lower case; money is shown in it, by the rate of its day
-- @param rates String = '': source of the rates to show it by; empty: as the ledger converts
-- @param limit UInt32 = 100: how many names
SELECT
    name,
    sum(spent) AS spend,
    sum(came) AS clicks,
    sum(bought) AS customers,
    sum(b.net) AS net,
    if(spend = 0 OR net = 0 AND sum(net_missing) > 0, NULL, round(net / spend, 4)) AS roas,
    if(clicks = 0 OR spend = 0 AND sum(spend_missing) > 0, NULL, round(spend / clicks, 4)) AS cost_per_click,
    if(customers = 0 OR spend = 0 AND sum(spend_missing) > 0, NULL, round(spend / customers, 4)) AS cost_per_customer,
    sum(spend_missing + net_missing) AS without_rate
FROM
(
    SELECT
        toString(d.value) AS name,
        toDecimal128(0, 6) AS spent, toUInt64(0) AS spend_missing, sum(d.clicks) AS came, toUInt64(0) AS bought, toDecimal128(0, 6) AS net, toUInt64(0) AS net_missing
    FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = ['affiliate', 'campaign', 'source', 'channel'], stored = true) AS d
    WHERE d.dimension = {dimension:String}
    GROUP BY name
    HAVING came > 0
    UNION ALL
    SELECT
        name::String, toDecimal128(0, 6), toUInt64(0), toUInt64(0),
        uniqExactIf(sale_id, kind = 'payment' AND first_sale AND attributed),
        toDecimal128(sumIf(ifNull(net, toDecimal128(0, 6)), attributed), 6),
        countIf(attributed AND net IS NULL)
    FROM activity(
        workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = {dimension:String},
        only = map()::Map(String, Array(String)), without = map()::Map(String, Array(String)), currency = {currency:String}, rates = {rates:String}, stored = true
    )
    WHERE what != 'click'
    GROUP BY name
    UNION ALL
    SELECT
        multiIf(
            {dimension:String} = 'affiliate', s.affiliate_id,
            {dimension:String} = 'source', s.utm_source,
            {dimension:String} = 'campaign', s.utm_campaign,
            {dimension:String} = 'channel', s.channel,
            (SELECT throwIf({dimension:String} NOT IN ('affiliate', 'source', 'campaign', 'channel'), 'dimension is one of affiliate, source, campaign, channel'))::String
        )::String,
        toDecimal128(sum(ifNull(s.shown, toDecimal128(0, 6))), 6), countIf(s.shown IS NULL), toUInt64(0), toUInt64(0), toDecimal128(0, 6), toUInt64(0)
    FROM spend_shown(
        workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, currency = {currency:String}, rates = {rates:String}
    ) AS s
    GROUP BY 1
) AS b
GROUP BY name
ORDER BY spend DESC, net DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
