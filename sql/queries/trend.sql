-- How did clicks, leads, sales and net revenue run over time?
-- One row for each unit of time, also for one in which nothing happened. local: its begin as clocks
-- in the time zone show it; where they are changed by half an hour, an hour is as long as they show
-- it. start_utc: the same in UTC; next_start: its end, in the time zone. open: it is not over, or
-- from and to cut it. visitors: of clicks; NULL: not asked for. customers: buyers' first sales. net:
-- without tax, refunds and disputes subtracted when they happened; money without a rate is not in it
-- but counted. A sale that is paid in parts counts in each unit in which a part came.
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
-- @param visitors Bool = true: false: do not count visitors, which takes most of the time where clicks are many
WITH
    -- The begin of the unit of a time. After a change of the clocks by half an hour dateTrunc begins hours at half past.
    (at) -> if({unit:String} != 'hour', toDateTime(dateTrunc({unit:String}, toDateTime(at, 'UTC'), {timezone:String}), {timezone:String}),
        toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at)
        + abs(timezoneOffset(toDateTime(at, {timezone:String})) - timezoneOffset(toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at))) % 3600
    ) AS start_of_unit,
    toDateTime(start_utc, {timezone:String}) AS start
SELECT
    formatDateTime(start, '%F %T', {timezone:String}) AS local,
    start_utc,
    -- By the calendar, and where a day begins at one, because clocks are put forward at midnight, an hour off: so the begin of that unit.
    toDateTime64(start_of_unit(if({unit:String} = 'hour', addHours(start, 1), addHours(multiIf(
        {unit:String} = 'day', addDays(start, 1),
        {unit:String} = 'week', addWeeks(start, 1),
        {unit:String} = 'month', addMonths(start, 1),
        {unit:String} = 'quarter', addQuarters(start, 1),
        addYears(start, 1)
    ), 2))), 0, {timezone:String}) AS next_start,
    (start < {from:DateTime('UTC')} OR next_start > {to:DateTime('UTC')} OR start <= toStartOfFifteenMinutes(now()) AND toStartOfFifteenMinutes(now()) < next_start)::Bool AS open,
    clicks, if({visitors:Bool}, clicked_by, NULL) AS visitors, leads, sales, customers, net, without_rate
FROM
(
    SELECT
        toDateTime64(start, 0, 'UTC') AS start_utc,
        countIf(what = 'click') AS clicks,
        uniqIf(visitor, what = 'click') AS clicked_by,
        sumIf(quantity, what = 'lead') AS leads,
        uniqExactIf(sale_id, kind = 'payment') AS sales,
        uniqExactIf(sale_id, kind = 'payment' AND first_sale) AS customers,
        sumIf(ifNull(a.net, 0), what = 'entry') AS net,
        countIf(what = 'entry' AND a.net IS NULL) AS without_rate
    FROM
    (
        WITH
            -- As above, which the parts of this question lack.
            (at) -> if({unit:String} != 'hour', toDateTime(dateTrunc({unit:String}, toDateTime(at, 'UTC'), {timezone:String}), {timezone:String}),
                toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at)
                + abs(timezoneOffset(toDateTime(at, {timezone:String})) - timezoneOffset(toDateTime(at, {timezone:String}) - toMinute(at, {timezone:String}) * 60 - toSecond(at))) % 3600
            ) AS start_of_unit
        SELECT start, '' AS what, 0 AS visitor, 0 AS quantity, '' AS sale_id, '' AS kind, false AS first_sale, CAST(NULL, 'Nullable(Decimal(38, 6))') AS net
        FROM
        (
            SELECT arrayJoin(arrayDistinct(arrayMap(
                i -> start_of_unit(least({from:DateTime('UTC')} + i * 1800, {to:DateTime('UTC')} - 1)),
                range(1 + intDiv(toUInt32({to:DateTime('UTC')} - {from:DateTime('UTC')}) + 1799, 1800))
            ))) AS start
        )
        UNION ALL
        SELECT start_of_unit(at), what, visitor, quantity, sale_id, kind, first_sale, net
        FROM activity(
            workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = '',
            only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = {currency:String}, rates = {rates:String}, stored = true
        )
    ) AS a
    GROUP BY start
)
ORDER BY start
SETTINGS optimize_move_to_prewhere_if_final = 0
