-- How much comes from new customers, and how much from those who bought before?
-- One row for each unit of time in which money moved. new: what the first sale of a buyer brought, with its refunds and disputes; returning:
-- everything else, renewals among it. Net, without tax, when it happened. local: the unit's begin as clocks in the time zone show it.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param unit String = 'day': hour, day, week (from Monday), month, quarter or year
-- @param timezone String = 'UTC': IANA name, such as Asia/Kolkata: where the unit begins
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param currency String = 'usd': ISO 4217 in lower case; money is shown in it, by the rate of its day
-- @param rates String = '': source of the rates to show it by; empty: as the ledger converts
WITH
    -- The begin of the unit of a time. After a change of the clocks by half an hour dateTrunc begins hours at half past.
    (at) -> if({unit:String} != 'hour', toDateTime(dateTrunc({unit:String}, toDateTime(at, 'UTC'), {timezone:String}), {timezone:String}),
        toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at)
        + abs(timezoneOffset(toDateTime(at, {timezone:String})) - timezoneOffset(toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at))) % 3600
    ) AS start_of_unit
SELECT
    formatDateTime(start_of_unit(at), '%F %T', {timezone:String}) AS local,
    uniqExactIf(sale_id, kind = 'payment' AND first_sale) AS new_sales,
    uniqExactIf(sale_id, kind = 'payment' AND NOT first_sale) AS returning_sales,
    sumIf(ifNull(net, 0), first_sale) AS new_net,
    sumIf(ifNull(net, 0), NOT first_sale) AS returning_net,
    countIf(net IS NULL) AS without_rate
FROM activity(
    workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = '',
    only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = {currency:String}, rates = {rates:String}, stored = true
)
WHERE what = 'entry'
GROUP BY local
ORDER BY local
SETTINGS optimize_move_to_prewhere_if_final = 0
