-- +goose Up
-- statements_of_affiliate(workspace, livemode, affiliate, month): one affiliate's statements of all closed months, and of the open month that
-- is asked for, as statements has them month by month.
CREATE OR REPLACE VIEW statements_of_affiliate AS
SELECT
    month,
    closed,
    uniqExactIf(entry_id, line = 'entry') AS entries,
    sumIf(usd, line = 'carried') AS carried_usd,
    sumIf(usd, line = 'entry' AND NOT restates AND kind = 'payment') AS earned_usd,
    sumIf(usd, line = 'entry' AND NOT restates AND kind != 'payment') AS returned_usd,
    sumIf(usd, restates) AS restated_usd,
    sum(usd) AS balance_usd,
    if(balance_usd >= greatest(any(minimum_usd), toDecimal64('0.01', 2)), balance_usd, toDecimal128(0, 2)) AS payable_usd,
    balance_usd - payable_usd AS carry_forward_usd
FROM
(
    SELECT
        l.month AS month, true AS closed, l.line AS line, l.entry_id AS entry_id, l.kind AS kind, l.restates AS restates, l.usd AS usd,
        c.minimum_usd AS minimum_usd
    FROM earning_lines AS l FINAL
    INNER JOIN
    (
        SELECT m.month AS month, argMin(m.closing, (m.closed_at, m.closing)) AS closing, argMin(m.minimum_usd, (m.closed_at, m.closing)) AS minimum_usd
        FROM earning_months AS m
        WHERE m.workspace = {workspace:String} AND m.livemode = {livemode:Bool}
        GROUP BY m.month
    ) AS c ON c.month = l.month AND c.closing = l.closing
    WHERE l.workspace = {workspace:String} AND l.livemode = {livemode:Bool} AND l.affiliate_id = {affiliate:String}
    UNION ALL
    SELECT {month:Date}, false, line, entry_id, kind, restates, usd, minimum_usd
    FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
    WHERE NOT closed AND affiliate_id = {affiliate:String}
)
GROUP BY month, closed
COMMENT 'What one affiliate is owed for each month; parameters: workspace, livemode, affiliate, month';
