-- Which products earn, refunds and disputes subtracted?
-- One row for each product: prod_…, or the seller's own id; an empty name: none is named, such as
-- shipping, or the lines of an invoice beyond the tenth, which are in no event. Together the rows
-- are the revenue of the same filters. sales: with the product; a sale of several counts for each.
-- customers: buyers' first sales. paid, refunded, disputed: without tax, when they happened; net is
-- their sum. refund_rate: refunded of paid; NULL: nothing was paid, or no refund has a rate. Money
-- without a rate is in no sum, but counted. product_names has names.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param currency String = 'usd': ISO 4217 in lower case; money is shown in it, by the rate of its day
-- @param rates String = '': source of the rates to show it by; empty: as the ledger converts
-- @param limit UInt32 = 100: how many products
SELECT
    name AS product,
    uniqExactIf(sale_id, kind = 'payment') AS sales,
    uniqExactIf(sale_id, kind = 'payment' AND first_sale) AS customers,
    sumIf(ifNull(a.net, 0), kind = 'payment') AS paid,
    sumIf(ifNull(a.net, 0), kind IN ('refund', 'refund_reversal')) AS refunded,
    sumIf(ifNull(a.net, 0), kind IN ('dispute', 'dispute_reversal')) AS disputed,
    sum(ifNull(a.net, 0)) AS net,
    if(paid = 0 OR minIf(a.net IS NULL, kind IN ('refund', 'refund_reversal')), NULL, round(-refunded / paid, 4)) AS refund_rate,
    countIf(a.net IS NULL) AS without_rate
FROM activity(
    workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = 'product',
    only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = {currency:String}, rates = {rates:String}, stored = true
) AS a
WHERE what = 'entry'
GROUP BY product
ORDER BY net DESC, product
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
