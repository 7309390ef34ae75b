-- What does each affiliate earn in a month?
-- USD. A closed month shows what was stated; an open one what would be stated if it were closed now. earned: payments whose hold
-- ends in the month or ended before and were not stated yet. returned: refunds, disputes and what came back of them. restated:
-- what entries of closed months earn more or less by now, for example because they are credited to somebody else. carried: what
-- the month before left unpaid. balance: the four together; below the minimum it is not payable but carried forward.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param month Date: its first day, such as 2026-01-01; months are UTC
-- @param affiliate String = '': only this one; empty: all
SELECT affiliate_id, closed, entries, carried_usd, earned_usd, returned_usd, restated_usd, balance_usd, payable_usd, carry_forward_usd
FROM statements(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
WHERE {affiliate:String} = '' OR affiliate_id = {affiliate:String}
ORDER BY payable_usd DESC, balance_usd DESC, affiliate_id
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
