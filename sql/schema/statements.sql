CREATE VIEW statements
COMMENT 'What each affiliate is owed for a month; parameters: workspace, livemode, month'
AS SELECT
    affiliate_id,
    closed,
    uniqExactIf(entry_id, line = 'entry') AS entries,
    sumIf(usd, line = 'carried') AS carried_usd,
    sumIf(usd, (line = 'entry') AND (NOT restates) AND (kind = 'payment')) AS earned_usd,
    sumIf(usd, (line = 'entry') AND (NOT restates) AND (kind != 'payment')) AS returned_usd,
    sumIf(usd, restates) AS restated_usd,
    sum(usd) AS balance_usd,
    if(balance_usd >= greatest(any(minimum_usd), toDecimal64('0.01', 2)), balance_usd, toDecimal128(0, 2)) AS payable_usd,
    balance_usd - payable_usd AS carry_forward_usd
FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
GROUP BY
    affiliate_id,
    closed;
