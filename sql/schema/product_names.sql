CREATE VIEW product_names
(
    `workspace` LowCardinality(String) COMMENT 'As in stripe_events',
    `livemode` Bool COMMENT 'false: test mode, which has products of its own',
    `product` String COMMENT 'prod_…',
    `name` String COMMENT 'As the seller named it in Stripe'
)
COMMENT 'Names of products, from the events product.created and product.updated'
AS SELECT
    workspace,
    livemode,
    JSONExtractString(body, 'data', 'object', 'id') AS product,
    argMax(JSONExtractString(body, 'data', 'object', 'name'), (created, event_id)) AS name
FROM stripe_events
WHERE type IN ('product.created', 'product.updated')
GROUP BY
    workspace,
    livemode,
    product;
