-- Which sales, refunds and disputes is one affiliate's statement made of?
-- The lines of statement_entries of one affiliate. It says nothing about buyers: no ids of theirs, nor of their payments.
-- @param workspace String: whose data
-- @param affiliate String: whose earnings
-- @param livemode Bool = true: false: Stripe's test mode
-- @param month Date: its first day, such as 2026-01-01; months are UTC
-- @param limit UInt32 = 100000: how many rows
SELECT
    line,
    if(line = 'entry', occurred_at, NULL) AS at,
    kind,
    if(line = 'entry', net_usd, NULL) AS net,
    rule,
    arrayStringConcat(arrayMap(product -> if(product = '', 'none named', product), products), ', ') AS of_products,
    restates,
    if(line = 'entry', payable_at, NULL) AS payable,
    usd,
    closed
FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
WHERE affiliate_id = {affiliate:String}
ORDER BY line, occurred_at, object_id, kind, entry_id, products
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
