-- What are Stripe's products called?
-- One row for each product of which an event product.created or product.updated came; the last one stands. Ask it once, not every few
-- seconds: it reads the stored events.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT product, name
FROM product_names
WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
ORDER BY product
SETTINGS optimize_move_to_prewhere_if_final = 0
