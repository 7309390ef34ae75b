-- +goose Up
-- Rules of earnings may name products: each part of an entry earns by the first rule that fits it. An entry whose parts all go by one rule
-- has one line, as before.
ALTER TABLE earning_lines
    ADD COLUMN IF NOT EXISTS products Array(String) COMMENT 'Which products of the entry the line is of; an empty name: what names none. Empty: all of the entry' AFTER rule,
    MODIFY ORDER BY (workspace, livemode, month, closing, affiliate_id, line, entry_id, products);

CREATE OR REPLACE VIEW earnings
(
    workspace     LowCardinality(String) COMMENT 'As in ledger',
    livemode      Bool COMMENT 'As in ledger',
    affiliate_id  String COMMENT 'Who earns it',
    entry_id      String COMMENT 'As in ledger_current: hexadecimal text',
    sale_id       String COMMENT 'As in ledger',
    object_id     String COMMENT 'As in ledger',
    kind          String COMMENT 'As in ledger',
    occurred_at   DateTime64(3, 'UTC') COMMENT 'As in ledger',
    payable_at    DateTime64(3, 'UTC') COMMENT 'UTC: the last payment of the sale until then, and the days that the rule holds it; of money out no earlier than it occurred',
    products      Array(String) COMMENT 'Which products of the entry the rule decides; an empty name: what names none. Empty: all of the entry',
    net_usd       Decimal(18, 6) COMMENT 'As in ledger, of these products; entries without a rate are not here',
    rule          String COMMENT 'Name of the rule that decides: the first in the file that fits',
    usd           Decimal(18, 2) COMMENT 'What net_usd earns, USD, negative for money out; rounded once, half to even',
    rule_in_force Tuple(name String, from Date, until Date, affiliates Array(String), programs Array(String), products Array(String), percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16) COMMENT 'The rule itself; from and until are UTC days of the sale, percent is of net_usd, flat_usd of all that the sale has of what the rule decides'
)
COMMENT 'What each booked entry earns its affiliate now, by the rules that are in force: one row for each rule that decides a part of it'
AS WITH
    rules AS
    (
        SELECT
            workspace,
            JSONExtract(argMax(rules, loaded_at), 'Array(Tuple(
                name String, from Date, until Date, affiliates Array(String), programs Array(String), products Array(String),
                percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16))') AS list
        FROM earning_rules
        GROUP BY workspace
    ),
    -- What an entry moved, by product: parts that have the proportions of product_net and add up to net_usd, as in activity.
    multiIf(net_usd IS NULL, [], empty(products) OR arraySum(product_net) = 0, [('', toDecimal128(assumeNotNull(net_usd), 6))],
        arrayMap((product, upto, own) -> (toString(product), CAST(
            toDecimal256(assumeNotNull(net_usd), 6) * upto / arraySum(product_net)
            - toDecimal256(assumeNotNull(net_usd), 6) * (upto - own) / arraySum(product_net), 'Decimal(38, 6)')),
            products, arrayCumSum(product_net), product_net)) AS parts_of_net
SELECT
    workspace, livemode, affiliate_id, lower(hex(ledger_entry)) AS entry_id, sale_id, object_id, kind, occurred_at,
    greatest(occurred_at, paid_at + toIntervalDay(rule_in_force.hold_days)) AS payable_at,
    if(length(deciding) = 1, [], arrayMap(part -> part.1, arrayFilter((part, n) -> n = decides, parts, part_rules))) AS products,
    CAST(arraySum((part, n) -> if(n = decides, part.2, toDecimal128(0, 6)), parts, part_rules), 'Decimal(18, 6)') AS net_usd,
    rule_in_force.name AS rule,
    -- Exact, then rounded once, half to even. A flat amount is of the sale: each entry has the part that it is of what the sale's
    -- payments have of what the rule decides. While these have no rate, it has none.
    CAST(roundBankers(
        toDecimal256(net_usd, 8) * toDecimal256(rule_in_force.percent, 4) / 100
        + if(paid_usd = 0, toDecimal256(0, 18), toDecimal256(rule_in_force.flat_usd, 18)) * toDecimal256(net_usd, 6)
            / if(paid_usd = 0, toDecimal128(1, 6), paid_usd), 2
    ), 'Decimal(18, 2)') AS usd,
    list[decides] AS rule_in_force
FROM
(
    SELECT
        *,
        arrayJoin(arrayFilter(n -> n > 0, deciding)) AS decides,
        arraySum((usd, n) -> if(n = decides, usd, toDecimal128(0, 6)), paid.2, paid_rules) AS paid_usd
    FROM
    (
        SELECT
            e.workspace AS workspace, e.livemode AS livemode, e.affiliate_id AS affiliate_id, e.entry_id AS ledger_entry, e.sale_id AS sale_id,
            e.object_id AS object_id, toString(e.kind) AS kind, e.occurred_at AS occurred_at, e.paid_at AS paid_at, e.parts AS parts,
            e.paid AS paid, r.list AS list,
            -- Whether a rule fits, but for the product.
            arrayMap(r -> (empty(r.affiliates) OR has(r.affiliates, e.affiliate_id))
                AND (empty(r.programs) OR has(r.programs, e.program_id))
                AND toDate(e.sold_at) BETWEEN r.from AND r.until
                AND (NOT r.first_sale_only OR e.sale_id = e.first_sale_id)
                AND (r.months = 0 OR e.sold_at < addMonths(e.first_sold_at, r.months)), list) AS fits,
            arrayMap(r -> r.products, list) AS of_products,
            arrayMap(part -> arrayFirstIndex((fit, only) -> fit AND (empty(only) OR has(only, part.1)), fits, of_products), parts) AS part_rules,
            arrayMap(product -> arrayFirstIndex((fit, only) -> fit AND (empty(only) OR has(only, product)), fits, of_products), paid.1) AS paid_rules,
            arrayDistinct(part_rules) AS deciding
        FROM
        (
            SELECT *
            FROM
            (
                SELECT
                    *,
                    min(sold_at) OVER (PARTITION BY workspace, livemode, buyer) AS first_sold_at,
                    argMin(sale_id, (sold_at, sale_id)) OVER (PARTITION BY workspace, livemode, buyer) AS first_sale_id
                FROM
                (
                    SELECT
                        workspace, livemode, entry_id, sale_id, object_id, kind, occurred_at, affiliate_id, program_id, match_rule,
                        parts_of_net AS parts,
                        multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer,
                        minIf(occurred_at, kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS sold_at,
                        sumMapIf(arrayMap(part -> part.1, parts), arrayMap(part -> part.2, parts), kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS paid,
                        -- The last payment until then: a refund is payable no earlier than what it takes back.
                        maxIf(occurred_at, kind = 'payment') OVER (
                            PARTITION BY workspace, livemode, sale_id ORDER BY occurred_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                        ) AS paid_at
                    FROM ledger FINAL
                    WHERE status = 'booked' AND amount != 0
                )
            )
            WHERE affiliate_id != '' AND match_rule NOT IN ('', 'none')
                AND sold_at > toDateTime64(0, 3, 'UTC') -- what goes back of a sale that is not booked takes nothing back
        ) AS e
        INNER JOIN rules AS r ON r.workspace = e.workspace
    )
);

-- The difference to what was stated of an entry is one line. A part of which nothing was stated, because the rule that decides it holds it
-- longer, is a line of its own once its hold ends.
CREATE OR REPLACE VIEW statement_lines AS
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
            l.rule AS rule, l.products AS products, l.restates AS restates, l.usd AS usd, c.minimum_usd AS minimum_usd
        FROM earning_lines AS l FINAL
        INNER JOIN closed AS c ON c.month = l.month AND c.closing = l.closing
        WHERE l.workspace = {workspace:String} AND l.livemode = {livemode:Bool}
    ),
    (SELECT max(month) FROM closed) AS last_closed,
    (SELECT argMax(minimum_usd, loaded_at) FROM earning_rules WHERE workspace = {workspace:String}) AS minimum_in_force
SELECT
    affiliate_id, line, entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, products, restates, usd, minimum_usd,
    true AS closed
FROM stated
WHERE month = {month:Date}
UNION ALL
SELECT
    affiliate_id, 'entry', entry_id, argMax(sale_id, month), argMax(object_id, month), argMax(kind, month), argMax(occurred_at, month),
    maxIf(payable_at, month = latest), sumIf(net_usd, month = latest),
    arrayStringConcat(arraySort(groupUniqArrayIf(rule, month = latest)), ', '),
    if(countIf(empty(products)) > 0, [], arraySort(groupUniqArrayArray(products))), -- empty if any row is of the whole entry
    min(now) = false, sum(usd) AS difference, minimum_in_force, false
FROM
(
    SELECT
        *,
        max(month) OVER entry AS latest,
        -- Nothing of it was stated. What was is one group, with what it earns now.
        now AND NOT (
            countIf(NOT now AND empty(products)) OVER entry > 0
            OR empty(products) AND countIf(NOT now) OVER entry > 0
            OR hasAny(products, groupArrayArrayIf(products, NOT now) OVER entry)
        ) AS new
    FROM
    (
        SELECT
            toDate('2149-06-06') AS month, affiliate_id, toFixedString(unhex(entry_id), 16) AS entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, products,
            usd, true AS now
        FROM earnings
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
        UNION ALL
        SELECT
            month, affiliate_id, entry_id, sale_id, object_id, kind, occurred_at, payable_at, net_usd, rule, products, -usd, false
        FROM stated
        WHERE line = 'entry'
    )
    WINDOW entry AS (PARTITION BY affiliate_id, entry_id)
)
WHERE {month:Date} > last_closed
GROUP BY affiliate_id, entry_id, if(new, [rule], [])
HAVING difference != 0 AND min(payable_at) < toDateTime64(addMonths({month:Date}, 1), 3, 'UTC')
UNION ALL
SELECT
    affiliate_id, 'carried', toFixedString('', 16), '', '', '', toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), toDecimal64(0, 6), '',
    [], false, sum(usd) AS unpaid, minimum_in_force, false
FROM stated
WHERE month = last_closed AND {month:Date} > last_closed
GROUP BY affiliate_id
HAVING unpaid != 0 AND unpaid < greatest(any(minimum_usd), toDecimal64('0.01', 2))
COMMENT 'Lines of the statements of a month, closed or open; parameters: workspace, livemode, month';

-- An entry may have several lines.
CREATE OR REPLACE VIEW statements AS
SELECT
    affiliate_id,
    closed,
    uniqExactIf(entry_id, line = 'entry') AS entries,
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
