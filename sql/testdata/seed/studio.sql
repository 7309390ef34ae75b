-- Three summer months of a small studio, by hand (net USD; EUR 20.00 is 22.00 at 1.10):
--
--   c1  click 2 June 09:00 (ann, affiliate, DE), lead 09:30, first sale 3 June 10:00 of 100; a second on 5 July of 50, 20 of it refunded on 6 July
--   c2  click 9 June 12:00 (an ad: google, paid_search, campaign summer, US), lead 12:05; subscription: 30 on 10 June 12:00, 30 on 10 July, 45
--       on 10 August
--   c3  click 2 July 12:00 (bob, affiliate, FR); subscription: EUR 20.00 on 3 July 12:00, and no more
--   c4  no click, nobody is credited: 10 on 20 July, disputed on 25 July
--   s4  click 15 June 20:00 UTC (ann, IN), which is 16 June 01:30 in Kolkata, and nothing else
--
--             clicks  leads  sales  customers  paid   refunded  disputed  net
--   June      3       2      2      2          130                        130
--   July      1              4      2          112    -20       -10       82
--   August                   1                 45                         45
--   together  4       2      7      4          287    -20       -10       257
--   ann       2       1      2      1          150    -20                 130
--   the ad    1       1      3      1          105                        105   (campaign summer; no affiliate)
--   bob       1              1      1          22                         22
--   nobody                   1      1          10               -10       0
-- MRR: 30 at the end of June, new; 52 at the end of July, 22 of it new; in August c2 pays 15 more, and c3, whose month and seven days end on
-- 10 August, is gone: 45, 22 churned of 52, one of two customers.
-- In euro June is 130 / 1.10 = 90.909091 + 27.272727 = 118.181818 (each entry is rounded to six places), July 45.454545 - 18.181818 +
-- 27.272727 + 20 + 9.090909 - 9.090909 = 74.545454, August 40.909091.
-- Products: the first sale is a class; the second a kit of 30 and a class of 20, and its refund by the same shares; subscriptions are the plan;
-- what was disputed names none. In euro the class has 90.909091 + 18.181818 - 7.272728, the kit 27.272727 - 10.909090 (18.181818 * 12 / 20, cut
-- off; the class has the rest of it), the plan 2 * 27.272727 + 40.909091 + 20: together 233.636363, the three months above.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, program_id, affiliate_id, link_id, visitor_id, utm_source, utm_medium, utm_campaign, channel, country, device, referrer_domain, host, path, version) VALUES
    ('studio', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d1'), '2050-06-02 09:00:00.000', '2050-06-02 09:00:00.100', 'p', 'ann', 'l_ann', 's1', '', '', '', 'affiliate', 'DE', 'desktop', 'blog.example', 'studio.example', '/a', 1),
    ('studio', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d2'), '2050-06-09 12:00:00.000', '2050-06-09 12:00:00.100', '', '', 'l_ad', 's2', 'google', 'cpc', 'summer', 'paid_search', 'US', 'mobile', 'google.com', 'studio.example', '/b', 1),
    ('studio', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d3'), '2050-07-02 12:00:00.000', '2050-07-02 12:00:00.100', 'p', 'bob', 'l_bob', 's3', '', '', '', 'affiliate', 'FR', 'desktop', '', 'studio.example', '/a', 1),
    ('studio', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d4'), '2050-06-15 20:00:00.000', '2050-06-15 20:00:00.100', 'p', 'ann', 'l_ann', 's4', '', '', '', 'affiliate', 'IN', 'mobile', 'blog.example', 'studio.example', '/a', 1);

INSERT INTO leads (workspace, lead_id, received_at, external_id, person, event_name, mode, quantity, program_id, affiliate_id, link_id, utm_campaign, country, match_rule, version) VALUES
    ('studio', 'studio-1', '2050-06-02 09:30:00.000', 'c1', 'external:c1', 'signup', 'async', 1, 'p', 'ann', 'l_ann', '', 'DE', 'click_id', 1),
    ('studio', 'studio-2', '2050-06-09 12:05:00.000', 'c2', 'external:c2', 'signup', 'async', 1, '', '', 'l_ad', 'summer', 'US', 'click_id', 1),
    ('studio', 'studio-3', '2050-06-09 12:06:00.000', 'c2', 'external:c2', 'trial', 'async', 1, '', '', 'l_ad', 'summer', 'US', 'click_id', 1);

INSERT INTO fx_rates (currency, date, valid_to, source, usd, fetched_at, fault) VALUES
    ('eur', '2050-06-01', '2050-08-31', 'file:studio', 1.1, '2050-06-01 00:00:00.000', '');

INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, external_customer_id, subscription_id, billing_reason, currency, amount, amount_usd, net_usd, fx_source, click_id, clicked_at, visitor_id, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country, device, match_rule, status, version, products, product_net) VALUES
    ('studio', 's01', true, '2050-06-03', 'payment', 'pi_s1', 'pi_s1', '2050-06-03 10:00:00.000', 'c1', '', '', 'usd', 10000, 100, 100, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d1'), '2050-06-02 09:00:00.000', 's1', 'p', 'ann', 'l_ann', '', '', '', 'affiliate', 'DE', 'desktop', 'click_id', 'booked', 1, ['class'], [10000]),
    ('studio', 's02', true, '2050-07-05', 'payment', 'pi_s2', 'pi_s2', '2050-07-05 10:00:00.000', 'c1', '', '', 'usd', 5000, 50, 50, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d1'), '2050-06-02 09:00:00.000', 's1', 'p', 'ann', 'l_ann', '', '', '', 'affiliate', 'DE', 'desktop', 'external_customer', 'booked', 1, ['kit', 'class'], [3000, 2000]),
    ('studio', 's03', true, '2050-07-06', 'refund', 're_s2', 'pi_s2', '2050-07-06 10:00:00.000', 'c1', '', '', 'usd', -2000, -20, -20, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d1'), '2050-06-02 09:00:00.000', 's1', 'p', 'ann', 'l_ann', '', '', '', 'affiliate', 'DE', 'desktop', 'sale', 'booked', 1, ['kit', 'class'], [-1200, -800]),
    ('studio', 's04', true, '2050-06-10', 'payment', 'in_s4', 'in_s4', '2050-06-10 12:00:00.000', 'c2', 'sub_2', 'subscription_create', 'usd', 3000, 30, 30, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d2'), '2050-06-09 12:00:00.000', 's2', '', '', 'l_ad', 'google', 'cpc', 'summer', 'paid_search', 'US', 'mobile', 'click_id', 'booked', 1, ['plan'], [3000]),
    ('studio', 's05', true, '2050-07-10', 'payment', 'in_s5', 'in_s5', '2050-07-10 12:00:00.000', 'c2', 'sub_2', 'subscription_cycle', 'usd', 3000, 30, 30, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d2'), '2050-06-09 12:00:00.000', 's2', '', '', 'l_ad', 'google', 'cpc', 'summer', 'paid_search', 'US', 'mobile', 'subscription', 'booked', 1, ['plan'], [3000]),
    ('studio', 's06', true, '2050-08-10', 'payment', 'in_s6', 'in_s6', '2050-08-10 12:00:00.000', 'c2', 'sub_2', 'subscription_cycle', 'usd', 4500, 45, 45, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d2'), '2050-06-09 12:00:00.000', 's2', '', '', 'l_ad', 'google', 'cpc', 'summer', 'paid_search', 'US', 'mobile', 'subscription', 'booked', 1, ['plan'], [4500]),
    ('studio', 's07', true, '2050-07-03', 'payment', 'in_s7', 'in_s7', '2050-07-03 12:00:00.000', 'c3', 'sub_3', 'subscription_create', 'eur', 2000, 22, 22, 'file:studio', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000d3'), '2050-07-02 12:00:00.000', 's3', 'p', 'bob', 'l_bob', '', '', '', 'affiliate', 'FR', 'desktop', 'click_id', 'booked', 1, ['plan'], [2000]),
    ('studio', 's08', true, '2050-07-20', 'payment', 'pi_s8', 'pi_s8', '2050-07-20 12:00:00.000', 'c4', '', '', 'usd', 1000, 10, 10, 'usd', '', NULL, '', '', '', '', '', '', '', '', '', '', 'none', 'booked', 1, [], []),
    ('studio', 's09', true, '2050-07-25', 'dispute', 'dp_s8', 'pi_s8', '2050-07-25 12:00:00.000', 'c4', '', '', 'usd', -1000, -10, -10, 'usd', '', NULL, '', '', '', '', '', '', '', '', '', '', 'none', 'booked', 1, [], []),
    ('studio', 's10', true, '2050-07-26', 'payment', 'pi_held', 'pi_held', '2050-07-26 12:00:00.000', 'c5', '', '', 'usd', 99900, 999, 999, 'usd', '', NULL, '', '', '', '', '', '', '', '', '', '', 'none', 'held', 1, [], []);

-- The ad cost 30 in June and EUR 10.00 (11.00) in July; the first figure for 9 June was loaded wrongly and again. So paid_search cost 41 and brought
-- 105 by 1 click and 1 customer: 2.561 a dollar. ann cost 13, and kroner without a rate, by 2 clicks and 1 customer (c1), and brought 130. What
-- bob cost is not known.
INSERT INTO spend (workspace, day, affiliate_id, utm_source, utm_campaign, channel, currency, amount, loaded_at) VALUES
    ('studio', '2050-06-09', '', 'google', 'summer', 'paid_search', 'usd', 300, '2050-06-10 00:00:00.000'),
    ('studio', '2050-06-09', '', 'google', 'summer', 'paid_search', 'usd', 30, '2050-06-11 00:00:00.000'),
    ('studio', '2050-07-09', '', 'google', 'summer', 'paid_search', 'eur', 10, '2050-07-10 00:00:00.000'),
    ('studio', '2050-06-30', 'ann', '', '', 'affiliate', 'usd', 13, '2050-07-10 00:00:00.000'),
    ('studio', '2050-06-30', 'ann', '', '', '', 'nok', 13, '2050-07-10 00:00:00.000'),
    ('studio', '2050-06-30', 'bob', '', '', '', 'nok', 13, '2050-07-10 00:00:00.000'),
    ('studio', '2050-09-01', '', 'google', 'summer', 'paid_search', 'usd', 1000, '2050-09-02 00:00:00.000');

-- The kit was renamed; in test mode it is another one.
INSERT INTO stripe_events (workspace, event_id, type, livemode, created, received_at, body) VALUES
    ('studio', 'evt_k1', 'product.created', true, '2050-06-01 00:00:00', '2050-06-01 00:00:01.000', '{"data":{"object":{"id":"kit","name":"Kit"}}}'),
    ('studio', 'evt_k2', 'product.updated', true, '2050-06-02 00:00:00', '2050-06-02 00:00:01.000', '{"data":{"object":{"id":"kit","name":"Knitting kit"}}}'),
    ('studio', 'evt_k3', 'product.updated', false, '2050-06-03 00:00:00', '2050-06-03 00:00:01.000', '{"data":{"object":{"id":"kit","name":"Try me"}}}'),
    ('studio', 'evt_k4', 'price.updated', true, '2050-06-03 00:00:00', '2050-06-03 00:00:01.000', '{"data":{"object":{"id":"kit","name":"A price"}}}');
