-- Rules for the small business: 20 % of everything, paid from 20.50 on. By hand, in June 2050:
--
--   ann  20 % of 110 is 22.00, of the refund of 55 -11.00; 20 % of 49 is 9.80, goes with the dispute and comes back: 20.80, payable
--   bob  20 % of 100.50 is 20.10: carried forward
--   aff  20 % of 10 is 2.00: carried forward
-- Test mode, the other workspace, what nobody is credited with, and money without a rate earn nothing.
INSERT INTO earning_rules (workspace, loaded_at, minimum_usd, rules) VALUES
    ('shop', '2050-01-01 00:00:00.000', 20.50, '[{"name":"all","from":"1970-01-01","until":"2149-06-06","affiliates":[],"programs":[],"percent":"20","flat_usd":"0","first_sale_only":false,"months":0,"hold_days":0}]');
