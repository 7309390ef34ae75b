CREATE VIEW customers
(
    `workspace` LowCardinality(String) COMMENT 'The account\'s workspace',
    `livemode` Bool COMMENT 'false: test mode, never in one sum with live money',
    `buyer` String COMMENT 'The buyer\'s id in the seller\'s database, else cus_…; guests are left out',
    `first_clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'The earliest click that a sale of the buyer is credited to, UTC; empty if none is',
    `first_affiliate_id` String COMMENT 'Who is credited with the first sale; empty: nobody',
    `first_channel` LowCardinality(String) COMMENT 'Channel of the first sale\'s click; empty if no single click is known',
    `first_campaign` String COMMENT 'Campaign of the first sale\'s click; empty if none',
    `first_sale_at` DateTime64(3, 'UTC') COMMENT 'When the first sale was made, UTC',
    `last_sale_at` DateTime64(3, 'UTC') COMMENT 'When the latest sale was made, UTC: when the buyer was last seen',
    `orders` UInt64 COMMENT 'How many sales, renewals among them',
    `lifetime_value_usd` Nullable(Decimal(38, 6)) COMMENT 'USD without tax, refunds and disputes subtracted; empty while a sale has no rate'
)
COMMENT 'Each buyer with first touch, orders and lifetime value; guests are left out'
AS SELECT
    workspace,
    livemode,
    buyer,
    min(clicked_at) AS first_clicked_at,
    argMin(affiliate_id, sale_of_buyer) AS first_affiliate_id,
    argMin(channel, sale_of_buyer) AS first_channel,
    argMin(utm_campaign, sale_of_buyer) AS first_campaign,
    min(sold_at) AS first_sale_at,
    max(sold_at) AS last_sale_at,
    count() AS orders,
    if(count() = count(net_usd), sum(net_usd), NULL) AS lifetime_value_usd
FROM sales
WHERE buyer != ''
GROUP BY
    workspace,
    livemode,
    buyer;
