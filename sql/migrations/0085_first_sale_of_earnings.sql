-- +goose Up
-- What goes back of a payment that is not booked, such as one from before a backfill, is no sale. It counted as its buyer's first one, of 1970,
-- so no rule for first sales or the first months gave anything for the buyer's real sales. And a sale has one buyer in earnings, too.
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
                        -- As in sales: who made the sale's first payment.
                        argMinIf(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id),
                            (occurred_at, object_id), kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS buyer_known,
                        if(buyer_known = '', sale_id, buyer_known) AS buyer,
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
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;
