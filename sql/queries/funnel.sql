-- How many visitors become leads, how many buy, and how many buy again?
-- Each person once in each step, whenever in the time it was: visitors who clicked, persons who signed up, buyers whose first sale it
-- was, and buyers who bought again, then or before. of_before: share of the step before; of_first: of the
-- visitors. NULL: nothing to divide by. A person without a visitor's id in one step is not known to be the same in the next, so the
-- steps are counted, not followed.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
WITH
    ['visitors', 'leads', 'buyers', 'returning'] AS steps,
    [visitors, leads, buyers, returning] AS counts
SELECT
    steps[i] AS step,
    counts[i] AS people,
    if(i = 1 OR counts[i - 1] = 0, NULL, round(toDecimal128(counts[i], 6) / counts[i - 1], 4)) AS of_before,
    if(i = 1 OR counts[1] = 0, NULL, round(toDecimal128(counts[i], 6) / counts[1], 4)) AS of_first
FROM
(
    SELECT
        uniqIf(visitor, what = 'click') AS visitors,
        sumIf(quantity, what = 'lead') AS leads,
        uniqExactIf(who, kind = 'payment' AND first_sale) AS buyers,
        uniqExactIf(who, kind = 'payment' AND NOT first_sale) AS returning
    FROM activity(
        workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimension = '',
        only = {only:Map(String, Array(String))}, without = {without:Map(String, Array(String))}, currency = 'usd', rates = '', stored = true
    )
)
ARRAY JOIN arrayEnumerate(steps) AS i
ORDER BY i
SETTINGS optimize_move_to_prewhere_if_final = 0
