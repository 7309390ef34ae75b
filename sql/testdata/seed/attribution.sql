-- Three sales of a workspace of their own, for the models of attribution. By hand, net USD:
--
--   A  pi_a  120 - 20 = 100, visitor m1: ann (affiliate), 7 days later an ad (paid_search), 7 days later bob (affiliate), 7 days later
--            nobody (direct); bought two hours later. The ledger credits bob. A bot's click, one after the sale and one that repeats
--            ann's after twenty minutes count for nothing.
--   B  pi_b  10.000001, visitor m2: cat, a day later cat by another link, a day later ann, all affiliate. The ledger credits ann.
--   C  pi_c  7, no click: a promotion code of dan's.
--   m3 came by the ad and did not buy.
--
--            A: ann  ad  bob direct     B: cat cat ann            ann         bob        cat        dan  nobody
--   ledger      0    0   1   0             0   0   1              10.000001   100                   7
--   first       1    0   0   0             1   0   0              100                    10.000001  7
--   last        0    0   0   1             0   0   1              10.000001                         7    100
--   non direct  0    0   1   0             0   0   1              10.000001   100                   7
--   linear      1    1   1   1  of 4       1   1   1  of 3        28.333335   25         6.666666   7    50
--   position    4    1   1   4  of 10      2   1   2  of 5        44.000001   10         6          7    50
--   decay       1    2   4   8  of 15      below                  10.334967  26.666666  6.331700   7    66.666668
--   data        below                      1   1   1  of 3        38.627456  35.294121  6.666666   7    29.411758
--
-- linear of B: 10.000001 / 3 is 3.333333, and the last click has the remaining 3.333335. position of B: 4, 2, 4, and 0.000001 of each 0.4
-- is cut off and goes to the last: 4.000001. decay halves every 7 days, so A is 6.666666, 13.333333, 26.666666 and the rest 53.333335;
-- B's weights are 2^(-2/7), 2^(-1/7), 1 in billionths: 820335356, 905723664, 1000000000 of 2726059020: 3.009235, 3.322465, rest 3.668301.
-- Paths of the chain: affiliate > paid_search > affiliate > direct > sale; affiliate > sale (clicks in a row are one); paid_search > end.
-- A visitor begins with affiliate in 2 of 3 cases; goes on from affiliate to paid_search, direct, sale in 1 of 3 each; from paid_search to
-- affiliate or the end in 1 of 2 each; from direct to the sale. P(sale) from affiliate is a = p/3 + 1/3 + 1/3, from paid_search p = a/2: a = 4/5, p = 2/5,
-- together 2/3 * 4/5 + 1/3 * 2/5 = 2/3. Without affiliate: 0. Without paid_search a = 2/3: 4/9. Without direct a = 2/5, p = 1/5: 1/3.
-- So the effects are 1, 1/3, 1/2, and A is divided as 1000000, 333333, 1000000, 500000 of 2833333: 35.294121, 11.764695, 35.294121, rest
-- 17.647063.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, link_id, visitor_id, channel, is_bot, version) VALUES
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a1'), '2050-06-01 10:00:00.000', '2050-06-01 10:00:00.100', 'ann', 'l1', 'm1', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a2'), '2050-06-01 10:20:00.000', '2050-06-01 10:20:00.100', 'ann', 'l1', 'm1', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a3'), '2050-06-08 10:00:00.000', '2050-06-08 10:00:00.100', '', 'ad', 'm1', 'paid_search', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a4'), '2050-06-15 10:00:00.000', '2050-06-15 10:00:00.100', 'bob', 'l2', 'm1', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a5'), '2050-06-20 10:00:00.000', '2050-06-20 10:00:00.100', 'zoe', 'l9', 'm1', 'referral', true, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a6'), '2050-06-22 10:00:00.000', '2050-06-22 10:00:00.100', '', 'home', 'm1', 'direct', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a7'), '2050-06-22 13:00:00.000', '2050-06-22 13:00:00.100', 'zoe', 'l9', 'm1', 'referral', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000b1'), '2050-06-10 10:00:00.000', '2050-06-10 10:00:00.100', 'cat', 'l3', 'm2', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000b2'), '2050-06-11 10:00:00.000', '2050-06-11 10:00:00.100', 'cat', 'l4', 'm2', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000b3'), '2050-06-12 10:00:00.000', '2050-06-12 10:00:00.100', 'ann', 'l1', 'm2', 'affiliate', false, 1),
    ('models', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000c1'), '2050-06-12 10:00:00.000', '2050-06-12 10:00:00.100', '', 'ad', 'm3', 'paid_search', false, 1);

INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, currency, amount, amount_usd, net_usd, fx_source, customer_id, click_id, clicked_at, visitor_id, affiliate_id, link_id, channel, match_rule, status, version) VALUES
    ('models', 'ma1', true, '2050-06-22', 'payment', 'pi_a', 'pi_a', '2050-06-22 12:00:00.000', 'usd', 12000, 120, 120, 'usd', 'cus_a', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a4'), '2050-06-15 10:00:00.000', 'm1', 'bob', 'l2', 'affiliate', 'click_id', 'booked', 1),
    ('models', 'ma2', true, '2050-07-30', 'refund', 're_a', 'pi_a', '2050-07-30 12:00:00.000', 'usd', -2000, -20, -20, 'usd', 'cus_a', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000a4'), '2050-06-15 10:00:00.000', 'm1', 'bob', 'l2', 'affiliate', 'sale', 'booked', 1),
    ('models', 'mb1', true, '2050-06-12', 'payment', 'pi_b', 'pi_b', '2050-06-12 12:00:00.000', 'eur', 920, 10.000001, 10.000001, 'ecb', 'cus_b', UUIDStringToNum('024d5a1e-7800-7000-8000-0000000000b3'), '2050-06-12 10:00:00.000', 'm2', 'ann', 'l1', 'affiliate', 'click_id', 'booked', 1),
    ('models', 'mc1', true, '2050-06-13', 'payment', 'pi_c', 'pi_c', '2050-06-13 12:00:00.000', 'usd', 700, 7, 7, 'usd', 'cus_c', '', NULL, '', 'dan', '', '', 'promotion_code', 'booked', 1);
