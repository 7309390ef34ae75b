-- Which affiliates, links, campaigns, channels, countries … bring the money?
-- One row for each name of the dimension; an empty name: none, or nobody is credited. dimension
-- empty: one row for everything. visitors: of clicks; NULL: not asked for. customers: buyers' first
-- sales. paid, refunded, disputed: without tax, when they happened; net is their sum. epc: net of
-- attributed money for each click. conversion: first sales that are attributed for each click, so
-- renewals do not count. average_order: paid for each sale. refund_rate: refunded of paid. NULL:
-- nothing to divide by, or none of that money has a rate. Money without a rate is in no sum, but
-- counted. By product: what each has of an entry; a sale of several counts for each. Clicks and
-- leads have no product.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': program, affiliate, link, source, medium, campaign, channel, country, device or product; empty: all together
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param currency String = 'usd': ISO 4217 in lower case; money is shown in it, by the rate of its day
-- @param rates String = '': source of the rates to show it by; empty: as the ledger converts
-- @param limit UInt32 = 100: how many names
-- @param visitors Bool = true: false: do not count visitors, which takes most of the time where clicks are many
SELECT
    name, clicks, if({visitors:Bool}, clicked_by, NULL) AS visitors, leads, sales, customers, paid, refunded, disputed, net,
    if(clicks = 0 OR attributed_unrated, NULL, round(attributed_net / clicks, 4)) AS epc,
    if(clicks = 0, NULL, round(toDecimal128(attributed_customers, 6) / clicks, 4)) AS conversion,
    if(sales = 0 OR paid_unrated, NULL, round(paid / sales, 4)) AS average_order,
    if(paid = 0 OR refunded_unrated, NULL, round(-refunded / paid, 4)) AS refund_rate,
    without_rate
FROM
(
    SELECT
        name,
        countIf(what = 'click') AS clicks,
        uniqIf(visitor, what = 'click') AS clicked_by,
        sumIf(quantity, what = 'lead') AS leads,
        uniqExactIf(sale_id, kind = 'payment') AS sales,
        uniqExactIf(sale_id, kind = 'payment' AND first_sale) AS customers,
        uniqExactIf(sale_id, kind = 'payment' AND first_sale AND attributed) AS attributed_customers,
        sumIf(ifNull(a.net, 0), kind = 'payment') AS paid,
        sumIf(ifNull(a.net, 0), kind IN ('refund', 'refund_reversal')) AS refunded,
        sumIf(ifNull(a.net, 0), kind IN ('dispute', 'dispute_reversal')) AS disputed,
        sumIf(ifNull(a.net, 0), what = 'entry') AS net,
        sumIf(ifNull(a.net, 0), attributed) AS attributed_net,
        countIf(what = 'entry' AND a.net IS NULL) AS without_rate,
        -- 1 where there is such money, and none of it has a rate.
        minIf(a.net IS NULL, what = 'entry' AND attributed) AS attributed_unrated,
        minIf(a.net IS NULL, kind = 'payment') AS paid_unrated,
        minIf(a.net IS NULL, kind IN ('refund', 'refund_reversal')) AS refunded_unrated
    FROM activity(
        workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = {dimension:String},
        only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = {currency:String}, rates = {rates:String}, stored = true
    ) AS a
    GROUP BY name
)
ORDER BY net DESC, clicks DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
