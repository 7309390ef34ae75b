CREATE VIEW earnings
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `affiliate_id` String COMMENT 'Who earns it',
    `entry_id` FixedString(16) COMMENT 'As in ledger',
    `sale_id` String COMMENT 'As in ledger',
    `object_id` String COMMENT 'As in ledger',
    `kind` String COMMENT 'As in ledger',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'As in ledger',
    `payable_at` DateTime64(3, 'UTC') COMMENT 'UTC: the last payment of the sale until then, and the days that the rule holds it; of money out no earlier than it occurred',
    `net_usd` Decimal(18, 6) COMMENT 'As in ledger; entries without a rate are not here',
    `rule` String COMMENT 'Name of the rule that decides: the first in the file that fits the entry',
    `usd` Decimal(18, 2) COMMENT 'What the entry earns, USD, negative for money out; rounded once, half to even',
    `rule_in_force` Tuple(
        name String,
        `from` Date,
        until Date,
        affiliates Array(String),
        programs Array(String),
        percent Decimal(18, 4),
        flat_usd Decimal(18, 2),
        first_sale_only Bool,
        months UInt16,
        hold_days UInt16) COMMENT 'The rule itself; from and until are UTC days of the sale, percent is of net_usd, flat_usd of the whole sale'
)
COMMENT 'What each booked entry earns its affiliate now, by the rules that are in force'
AS WITH
    rules AS
    (
        SELECT
            workspace,
            JSONExtract(argMax(rules, loaded_at), 'Array(Tuple(\n            name String, from Date, until Date, affiliates Array(String), programs Array(String),\n            percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16))') AS list
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
    CAST(roundBankers(((toDecimal256(net_usd, 8) * toDecimal256(rule_in_force.percent, 4)) / 100) + ((toDecimal256(rule_in_force.flat_usd, 18) * toDecimal256(net_usd, 6)) / if(paid_usd = 0, toDecimal128(1, 6), paid_usd)), 2), 'Decimal(18, 2)') AS usd,
    arrayFirst(r -> ((empty(r.affiliates) OR has(r.affiliates, e.affiliate_id)) AND (empty(r.programs) OR has(r.programs, e.program_id)) AND ((toDate(e.sold_at) >= r.`from`) AND (toDate(e.sold_at) <= r.until)) AND ((NOT r.first_sale_only) OR (e.sale_id = e.first_sale_id)) AND ((r.months = 0) OR (e.sold_at < addMonths(e.first_sold_at, r.months)))), list) AS rule_in_force
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
            maxIf(occurred_at, kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id ORDER BY occurred_at ASC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS paid_at
        FROM ledger
        FINAL
        WHERE (status = 'booked') AND (amount != 0)
    )
) AS e
INNER JOIN rules AS r ON r.workspace = e.workspace
WHERE (e.affiliate_id != '') AND (e.match_rule NOT IN ('', 'none')) AND (e.net_usd IS NOT NULL) AND (e.sold_at > toDateTime64(0, 3, 'UTC')) AND (rule_in_force.name != '');
