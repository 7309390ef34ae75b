-- What happened last: clicks, leads, sales, refunds and disputes?
-- Newest first. name: the affiliate, or as dimension says; who: the visitor, person or buyer. net: of money, without tax.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': program, affiliate, link, source, medium, campaign, channel, country, device or product
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param currency String = 'usd': ISO 4217 in lower case; money is shown in it, by the rate of its day
-- @param rates String = '': source of the rates to show it by; empty: as the ledger converts
-- @param limit UInt32 = 100: how many rows
SELECT at, if(what = 'entry', kind, what) AS event, name, who, sale_id, net
FROM activity(
    workspace = {workspace:String}, livemode = {livemode:Bool},
    -- Without filters it is enough to begin with the day since which there are limit clicks: that keeps years of them from being read.
    from = greatest({from:DateTime('UTC')}, (
        SELECT toDateTime(max(day), 'UTC')
        FROM
        (
            SELECT day, sum(sum(clicks)) OVER (ORDER BY day DESC) AS since
            FROM clicks_daily
            WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day < toDate({to:DateTime('UTC')})
                AND empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))})
            GROUP BY day
        )
        WHERE since >= {limit:UInt32}
    )),
    to = {to:DateTime('UTC')}, dimension = {dimension:String},
    only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = {currency:String}, rates = {rates:String}, stored = false
)
ORDER BY at DESC, event, who, sale_id, name, net
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
