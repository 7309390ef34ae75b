-- Which entries is a statement made of?
-- One row for each line of the affiliates' statements of a month, in USD: what the entry earns by its rule, what came back, or the
-- difference to what closed months stated of it (restates). carried: the balance of the month before. net: what the rule was
-- applied to. of_products: which of the entry's products; empty: all. An entry has several lines where rules name products.
-- payable: when the rule's hold ended; a refund is payable no earlier than what it takes back.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param month Date: its first day, such as 2026-01-01; months are UTC
-- @param affiliate String = '': only this one; empty: all
-- @param limit UInt32 = 100000: how many rows
SELECT
    affiliate_id,
    line,
    if(line = 'entry', occurred_at, NULL) AS at,
    kind,
    object_id,
    sale_id,
    if(line = 'entry', net_usd, NULL) AS net,
    rule,
    arrayStringConcat(arrayMap(product -> if(product = '', 'none named', product), products), ', ') AS of_products,
    restates,
    if(line = 'entry', payable_at, NULL) AS payable,
    usd,
    closed
FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
WHERE {affiliate:String} = '' OR affiliate_id = {affiliate:String}
ORDER BY affiliate_id, line, occurred_at, object_id, kind, entry_id, products
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
