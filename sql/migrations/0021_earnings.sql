-- +goose Up
-- What affiliates earn is a pure function of the ledger and of the rules that are loaded. A month that is closed is stored, line by line,
-- and never written again: whatever changes later is the difference between what an entry earns now and what was stated of it, and falls
-- into the open month.

CREATE TABLE IF NOT EXISTS earning_rules
(
    workspace   LowCardinality(String) COMMENT 'Whose rules',
    loaded_at   DateTime64(3, 'UTC') COMMENT 'When the file was loaded; the last one is in force, also for sales before it',
    minimum_usd Decimal(18, 2) COMMENT 'A statement below it is not paid but carried forward to the next month',
    rules       String COMMENT 'JSON array in the order of the file; the first rule that fits an entry decides'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, loaded_at)
COMMENT 'Rules of what affiliates earn, one row each time a file was loaded by processor earnings rules';

CREATE TABLE IF NOT EXISTS earning_months
(
    workspace   LowCardinality(String) COMMENT 'Whose month',
    livemode    Bool COMMENT 'false: test mode',
    month       Date COMMENT 'First day of the closed month, UTC',
    closed_at   DateTime64(3, 'UTC') COMMENT 'When it was closed',
    closing     String COMMENT 'Which closing: lines of earning_lines with another one do not count. Of two of one month the earlier counts',
    minimum_usd Decimal(18, 2) COMMENT 'As in earning_rules, when the month was closed'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, livemode, month, closed_at, closing)
COMMENT 'Closed months: a row here is what makes the lines of a closing count';

CREATE TABLE IF NOT EXISTS earning_lines
(
    workspace    LowCardinality(String) COMMENT 'As in ledger',
    livemode     Bool COMMENT 'As in ledger',
    month        Date COMMENT 'First day of the month of the statement, UTC',
    closing      String COMMENT 'As in earning_months',
    affiliate_id String COMMENT 'Whose statement',
    line         LowCardinality(String) COMMENT 'entry: of one ledger entry; carried: what the month before left unpaid',
    entry_id     FixedString(16) COMMENT 'As in ledger; zero where the line is of no entry',
    sale_id      String COMMENT 'As in ledger',
    object_id    String COMMENT 'As in ledger',
    kind         LowCardinality(String) COMMENT 'As in ledger',
    occurred_at  DateTime64(3, 'UTC') COMMENT 'As in ledger',
    payable_at   DateTime64(3, 'UTC') COMMENT 'When the hold of its rule ended',
    net_usd      Decimal(18, 6) COMMENT 'As in ledger, when the month was closed',
    rule         String COMMENT 'Name of the rule that decided',
    restates     Bool COMMENT 'true: the difference to what closed months state of the entry',
    usd          Decimal(18, 2) COMMENT 'What the line adds to the balance, USD'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, livemode, month, closing, affiliate_id, line, entry_id)
COMMENT 'Lines of the statements of closed months; read them through statement_lines';

-- Every booked entry that an affiliate is credited with and that has a rate, and what it earns by the rules that are in force.
CREATE VIEW IF NOT EXISTS earnings AS
WITH rules AS
(
    SELECT
        workspace,
        JSONExtract(argMax(rules, loaded_at), 'Array(Tuple(
            name String, from Date, until Date, affiliates Array(String), programs Array(String),
            percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16))') AS list
    FROM earning_rules
    GROUP BY workspace
)
SELECT
    e.workspace AS workspace,
    e.livemode AS livemode,
    e.affiliate_id AS affiliate_id,
    e.entry_id AS entry_id,
    e.sale_id AS sale_id,
    e.object_id AS object_id,
    toString(e.kind) AS kind,
    e.occurred_at AS occurred_at,
    greatest(e.occurred_at, paid_at + toIntervalDay(rule_in_force.hold_days)) AS payable_at,
    assumeNotNull(e.net_usd) AS net_usd,
    rule_in_force.name AS rule,
    -- Exact, then rounded once, half to even. A flat amount is of the sale: each entry has the part that it is of the sale's payments.
    CAST(roundBankers(
        toDecimal256(net_usd, 8) * toDecimal256(rule_in_force.percent, 4) / 100
        + toDecimal256(rule_in_force.flat_usd, 18) * toDecimal256(net_usd, 6) / if(paid_usd = 0, toDecimal128(1, 6), paid_usd), 2
    ), 'Decimal(18, 2)') AS usd,
    arrayFirst(
        r -> (empty(r.affiliates) OR has(r.affiliates, e.affiliate_id))
            AND (empty(r.programs) OR has(r.programs, e.program_id))
            AND toDate(e.sold_at) BETWEEN r.from AND r.until
            AND (NOT r.first_sale_only OR e.sale_id = e.first_sale_id)
            AND (r.months = 0 OR e.sold_at < addMonths(e.first_sold_at, r.months)),
        list
    ) AS rule_in_force
FROM
(
    SELECT
        *,
        min(sold_at) OVER (PARTITION BY workspace, livemode, buyer) AS first_sold_at,
        argMin(sale_id, (sold_at, sale_id)) OVER (PARTITION BY workspace, livemode, buyer) AS first_sale_id
    FROM
    (
        SELECT
            *,
            multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer,
            minIf(occurred_at, kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS sold_at,
            sumIf(toDecimal128(ifNull(net_usd, toDecimal64(0, 6)), 6), kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS paid_usd,
            -- The last payment until then: a refund is payable no earlier than what it takes back.
            maxIf(occurred_at, kind = 'payment') OVER (
                PARTITION BY workspace, livemode, sale_id ORDER BY occurred_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS paid_at
        FROM ledger FINAL
        WHERE status = 'booked' AND amount != 0
    )
) AS e
INNER JOIN rules AS r ON r.workspace = e.workspace
WHERE e.affiliate_id != '' AND e.match_rule NOT IN ('', 'none') AND e.net_usd IS NOT NULL
    AND e.sold_at > toDateTime64(0, 3, 'UTC') -- what goes back of a sale that is not booked takes nothing back
    AND rule_in_force.name != ''
COMMENT 'What each booked entry earns its affiliate now, by the rules that are in force';

-- statement_lines(workspace, livemode, month): the lines of all statements of a month. Of a closed month they are what was stored. Of a
-- month after the last closed one they are every difference between what an entry earns now and what was stated of it, if its hold ends
-- before the month does, and what the last closed month left unpaid.
CREATE VIEW IF NOT EXISTS statement_lines AS
WITH
    closed AS
    (
        SELECT
            m.month AS month,
            argMin(m.closing, (m.closed_at, m.closing)) AS closing,
            argMin(m.minimum_usd, (m.closed_at, m.closing)) AS minimum_usd
        FROM earning_months AS m
        WHERE m.workspace = {workspace:String} AND m.livemode = {livemode:Bool}
        GROUP BY m.month
    ),
    stated AS
    (
        SELECT
            l.month AS month, l.affiliate_id AS affiliate_id, l.line AS line, l.entry_id AS entry_id, l.sale_id AS sale_id,
            l.object_id AS object_id, l.kind AS kind, l.occurred_at AS occurred_at, l.payable_at AS payable_at, l.net_usd AS net_usd,
            l.rule AS rule, l.restates AS restates, l.usd AS usd, c.minimum_usd AS minimum_usd
        FROM earning_lines AS l FINAL
        INNER JOIN closed AS c ON c.month = l.month AND c.closing = l.closing
        WHERE l.workspace = {workspace:String} AND l.livemode = {livemode:Bool}
    ),
    (SELECT max(month) FROM closed) AS last_closed,
    (SELECT argMax(minimum_usd, loaded_at) FROM earning_rules WHERE workspace = {workspace:String}) AS minimum_in_force
SELECT
    affiliate_id, line, entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, restates, usd, minimum_usd, true AS closed
FROM stated
WHERE month = {month:Date}
UNION ALL
SELECT
    affiliate_id, 'entry', entry_id, argMax(sale_id, now), argMax(object_id, now), argMax(kind, now), argMax(occurred_at, now),
    argMax(payable_at, now), argMax(net_usd, now), argMax(rule, now), min(now) = false, sum(usd) AS difference, minimum_in_force, false
FROM
(
    SELECT affiliate_id, entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, usd, true AS now
    FROM earnings
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
    UNION ALL
    SELECT affiliate_id, entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, -usd, false
    FROM stated
    WHERE line = 'entry'
)
WHERE {month:Date} > last_closed
GROUP BY affiliate_id, entry_id
HAVING difference != 0 AND min(payable_at) < toDateTime64(addMonths({month:Date}, 1), 3, 'UTC')
UNION ALL
SELECT
    affiliate_id, 'carried', toFixedString('', 16), '', '', '', toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), toDecimal64(0, 6), '',
    false, sum(usd) AS unpaid, minimum_in_force, false
FROM stated
WHERE month = last_closed AND {month:Date} > last_closed
GROUP BY affiliate_id
HAVING unpaid != 0 AND unpaid < greatest(any(minimum_usd), toDecimal64('0.01', 2))
COMMENT 'Lines of the statements of a month, closed or open; parameters: workspace, livemode, month';

-- statements(workspace, livemode, month): one row for each affiliate with lines.
CREATE VIEW IF NOT EXISTS statements AS
SELECT
    affiliate_id,
    closed,
    countIf(line = 'entry') AS entries,
    sumIf(usd, line = 'carried') AS carried_usd,
    sumIf(usd, line = 'entry' AND NOT restates AND kind = 'payment') AS earned_usd,
    sumIf(usd, line = 'entry' AND NOT restates AND kind != 'payment') AS returned_usd,
    sumIf(usd, restates) AS restated_usd,
    sum(usd) AS balance_usd,
    if(balance_usd >= greatest(any(minimum_usd), toDecimal64('0.01', 2)), balance_usd, toDecimal128(0, 2)) AS payable_usd,
    balance_usd - payable_usd AS carry_forward_usd
FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
GROUP BY affiliate_id, closed
COMMENT 'What each affiliate is owed for a month; parameters: workspace, livemode, month';
