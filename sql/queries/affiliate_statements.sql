-- What does one affiliate earn, month by month?
-- USD, newest month first: every closed month as it was stated, and the open month as it would be stated if it were closed now. The
-- columns are those of statements. It says nothing about buyers: no ids of theirs, nor of their payments.
-- @param workspace String: whose data
-- @param affiliate String: whose earnings
-- @param livemode Bool = true: false: Stripe's test mode
-- @param month Date: first day of the open month, such as 2026-01-01; months are UTC
SELECT month, closed, entries, carried_usd, earned_usd, returned_usd, restated_usd, balance_usd, payable_usd, carry_forward_usd
FROM statements_of_affiliate(
    workspace = {workspace:String}, livemode = {livemode:Bool}, affiliate = {affiliate:String}, month = {month:Date}
)
ORDER BY month DESC
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
