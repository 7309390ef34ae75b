CREATE VIEW statement_lines
COMMENT 'Lines of the statements of a month, closed or open; parameters: workspace, livemode, month'
AS WITH
    closed AS
    (
        SELECT
            m.month AS month,
            argMin(m.closing, (m.closed_at, m.closing)) AS closing,
            argMin(m.minimum_usd, (m.closed_at, m.closing)) AS minimum_usd
        FROM earning_months AS m
        WHERE (m.workspace = {workspace:String}) AND (m.livemode = {livemode:Bool})
        GROUP BY m.month
    ),
    stated AS
    (
        SELECT
            l.month AS month,
            l.affiliate_id AS affiliate_id,
            l.line AS line,
            l.entry_id AS entry_id,
            l.sale_id AS sale_id,
            l.object_id AS object_id,
            l.kind AS kind,
            l.occurred_at AS occurred_at,
            l.payable_at AS payable_at,
            l.net_usd AS net_usd,
            l.rule AS rule,
            l.products AS products,
            l.restates AS restates,
            l.usd AS usd,
            c.minimum_usd AS minimum_usd
        FROM earning_lines AS l
        FINAL
        INNER JOIN closed AS c ON (c.month = l.month) AND (c.closing = l.closing)
        WHERE (l.workspace = {workspace:String}) AND (l.livemode = {livemode:Bool})
    ),
    (
        SELECT max(month)
        FROM closed
    ) AS last_closed,
    (
        SELECT argMax(minimum_usd, loaded_at)
        FROM earning_rules
        WHERE workspace = {workspace:String}
    ) AS minimum_in_force
SELECT
    affiliate_id,
    line,
    entry_id,
    sale_id,
    object_id,
    kind,
    occurred_at,
    payable_at,
    net_usd,
    rule,
    products,
    restates,
    usd,
    minimum_usd,
    true AS closed
FROM stated
WHERE month = {month:Date}
UNION ALL
WITH
    closed AS
    (
        SELECT
            m.month AS month,
            argMin(m.closing, (m.closed_at, m.closing)) AS closing,
            argMin(m.minimum_usd, (m.closed_at, m.closing)) AS minimum_usd
        FROM earning_months AS m
        WHERE (m.workspace = {workspace:String}) AND (m.livemode = {livemode:Bool})
        GROUP BY m.month
    ),
    stated AS
    (
        SELECT
            l.month AS month,
            l.affiliate_id AS affiliate_id,
            l.line AS line,
            l.entry_id AS entry_id,
            l.sale_id AS sale_id,
            l.object_id AS object_id,
            l.kind AS kind,
            l.occurred_at AS occurred_at,
            l.payable_at AS payable_at,
            l.net_usd AS net_usd,
            l.rule AS rule,
            l.products AS products,
            l.restates AS restates,
            l.usd AS usd,
            c.minimum_usd AS minimum_usd
        FROM earning_lines AS l
        FINAL
        INNER JOIN closed AS c ON (c.month = l.month) AND (c.closing = l.closing)
        WHERE (l.workspace = {workspace:String}) AND (l.livemode = {livemode:Bool})
    ),
    (
        SELECT max(month)
        FROM closed
    ) AS last_closed,
    (
        SELECT argMax(minimum_usd, loaded_at)
        FROM earning_rules
        WHERE workspace = {workspace:String}
    ) AS minimum_in_force
SELECT
    affiliate_id,
    'entry',
    entry_id,
    argMax(sale_id, month),
    argMax(object_id, month),
    argMax(kind, month),
    argMax(occurred_at, month),
    maxIf(payable_at, month = latest),
    sumIf(net_usd, month = latest),
    arrayStringConcat(arraySort(groupUniqArrayIf(rule, month = latest)), ', '),
    if(countIf(empty(products)) > 0, [], arraySort(groupUniqArrayArray(products))),
    min(now) = false,
    sum(usd) AS difference,
    minimum_in_force,
    false
FROM
(
    SELECT
        *,
        max(month) OVER entry AS latest,
        now AND (NOT ((countIf((NOT now) AND empty(products)) OVER entry > 0) OR (empty(products) AND (countIf(NOT now) OVER entry > 0)) OR hasAny(products, groupArrayArrayIf(products, NOT now) OVER entry))) AS new
    FROM
    (
        SELECT
            toDate('2149-06-06') AS month,
            affiliate_id,
            toFixedString(unhex(entry_id), 16) AS entry_id,
            sale_id,
            object_id,
            kind,
            occurred_at,
            payable_at,
            net_usd,
            rule,
            products,
            usd,
            true AS now
        FROM earnings
        WHERE (workspace = {workspace:String}) AND (livemode = {livemode:Bool})
        UNION ALL
        SELECT
            month,
            affiliate_id,
            entry_id,
            sale_id,
            object_id,
            kind,
            occurred_at,
            payable_at,
            net_usd,
            rule,
            products,
            -usd,
            false
        FROM stated
        WHERE line = 'entry'
    )
    WINDOW entry AS (PARTITION BY affiliate_id, entry_id)
)
WHERE {month:Date} > last_closed
GROUP BY
    affiliate_id,
    entry_id,
    if(new, [rule], [])
HAVING (difference != 0) AND (min(payable_at) < toDateTime64(addMonths({month:Date}, 1), 3, 'UTC'))
UNION ALL
WITH
    closed AS
    (
        SELECT
            m.month AS month,
            argMin(m.closing, (m.closed_at, m.closing)) AS closing,
            argMin(m.minimum_usd, (m.closed_at, m.closing)) AS minimum_usd
        FROM earning_months AS m
        WHERE (m.workspace = {workspace:String}) AND (m.livemode = {livemode:Bool})
        GROUP BY m.month
    ),
    stated AS
    (
        SELECT
            l.month AS month,
            l.affiliate_id AS affiliate_id,
            l.line AS line,
            l.entry_id AS entry_id,
            l.sale_id AS sale_id,
            l.object_id AS object_id,
            l.kind AS kind,
            l.occurred_at AS occurred_at,
            l.payable_at AS payable_at,
            l.net_usd AS net_usd,
            l.rule AS rule,
            l.products AS products,
            l.restates AS restates,
            l.usd AS usd,
            c.minimum_usd AS minimum_usd
        FROM earning_lines AS l
        FINAL
        INNER JOIN closed AS c ON (c.month = l.month) AND (c.closing = l.closing)
        WHERE (l.workspace = {workspace:String}) AND (l.livemode = {livemode:Bool})
    ),
    (
        SELECT max(month)
        FROM closed
    ) AS last_closed,
    (
        SELECT argMax(minimum_usd, loaded_at)
        FROM earning_rules
        WHERE workspace = {workspace:String}
    ) AS minimum_in_force
SELECT
    affiliate_id,
    'carried',
    toFixedString('', 16),
    '',
    '',
    '',
    toDateTime64(0, 3, 'UTC'),
    toDateTime64(0, 3, 'UTC'),
    toDecimal64(0, 6),
    '',
    [],
    false,
    sum(usd) AS unpaid,
    minimum_in_force,
    false
FROM stated
WHERE (month = last_closed) AND ({month:Date} > last_closed)
GROUP BY affiliate_id
HAVING (unpaid != 0) AND (unpaid < greatest(any(minimum_usd), toDecimal64('0.01', 2)));
