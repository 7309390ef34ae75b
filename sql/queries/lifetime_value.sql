-- What is a customer worth, by who won them?
-- Buyers whose first sale was in the time, by whom or what that sale is credited to. orders: all their sales until today, renewals
-- among them. net_usd: all they ever paid, without tax, refunds and disputes subtracted; ltv: for each customer. Buyers with money that
-- has no rate are left out of net_usd and ltv, and counted.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': program, affiliate, link, source, campaign, channel or country
-- @param limit UInt32 = 100: how many names
SELECT
    name,
    count() AS customers,
    sum(orders) AS orders,
    sum(ifNull(net, 0)) AS net_usd,
    if(count(net) = 0, NULL, round(net_usd / count(net), 4)) AS ltv,
    countIf(net IS NULL) AS without_rate
FROM
(
    SELECT
        min(sold_at) AS first_sold_at,
        argMin(multiIf(
            {dimension:String} = 'program', program_id,
            {dimension:String} = 'affiliate', affiliate_id,
            {dimension:String} = 'link', link_id,
            {dimension:String} = 'source', utm_source,
            {dimension:String} = 'campaign', utm_campaign,
            {dimension:String} = 'channel', toString(channel),
            {dimension:String} = 'country', toString(country),
            throwIf(true, 'dimension is one of program, affiliate, link, source, campaign, channel, country')::String
        ), (sold_at, sale_id)) AS name,
        count() AS orders,
        if(count() = count(s.net_usd), sum(s.net_usd), NULL) AS net
    FROM sales AS s
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
    GROUP BY if(buyer = '', sale_id, buyer)
)
WHERE first_sold_at >= {from:DateTime('UTC')} AND first_sold_at < {to:DateTime('UTC')}
GROUP BY name
ORDER BY net_usd DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
