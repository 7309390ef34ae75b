-- Two days of a small business, with everything that makes counting hard. It lies in 2050, where no TTL reaches it.
--
--   ann   4 clicks (one reported twice, one followed again within an hour, one more by a bot), 2 sales, one of them refunded in part
--   bob   2 clicks, one sale that was first credited to ann; its visitor came by ann twice in the week before
--   aff   no click: named by the sale itself
-- Beside them: a sale that is not attributed, one without a rate, a held and a superseded entry, test mode, another workspace.

INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, link_id, visitor_id, utm_campaign, country, is_bot, version) VALUES
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000001'), '2050-06-10 09:05:10.000', '2050-06-10 09:05:10.200', 'ann', 'lnk_review', 'v1', 'spring', 'DE', false, 100),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000002'), '2050-06-10 09:06:00.000', '2050-06-10 09:06:00.100', 'ann', 'lnk_review', 'v2', 'spring', 'FR', false, 99),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000003'), '2050-06-11 14:30:00.000', '2050-06-11 14:30:00.100', 'ann', 'lnk_video', 'v1', '', 'DE', false, 98),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000004'), '2050-06-11 14:31:00.000', '2050-06-11 14:31:00.100', 'ann', 'lnk_video', 'crawler', '', 'US', true, 97),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000005'), '2050-06-11 15:00:00.000', '2050-06-11 15:00:00.100', 'bob', 'lnk_bob', 'v3', 'autumn', 'IT', false, 96),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000006'), '2050-06-11 15:59:59.000', '2050-06-11 15:59:59.900', 'bob', 'lnk_bob', '', 'autumn', 'IT', false, 95),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000007'), '2050-06-11 16:10:00.000', '2050-06-11 16:10:00.100', '', 'lnk_ads', 'v4', 'spring', 'US', false, 94),
    ('other', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000008'), '2050-06-11 16:10:00.000', '2050-06-11 23:10:00.100', 'ann', 'lnk_review', 'v1', 'spring', 'DE', false, 93);

-- The first click again, reported later: it changes nothing, and counts for nothing.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, link_id, visitor_id, utm_campaign, country, is_bot, version) VALUES
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000001'), '2050-06-10 09:05:10.000', '2050-06-10 09:05:10.200', 'ann', 'lnk_review', 'v1', 'spring', 'DE', false, 100);

-- Before the two days: v3 came by ann twice in the week before, and by somebody else in spring.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, link_id, visitor_id, utm_campaign, country, is_bot, version) VALUES
    ('shop', UUIDStringToNum('024eeebb-f500-7000-8000-000000000009'), '2050-06-05 10:00:00.000', '2050-06-05 10:00:00.100', 'ann', 'lnk_review', 'v3', 'spring', 'IT', false, 92),
    ('shop', UUIDStringToNum('024ef3e2-5100-7000-8000-00000000000a'), '2050-06-06 10:00:00.000', '2050-06-06 10:00:00.100', 'ann', 'lnk_review', 'v3', 'spring', 'IT', false, 91),
    ('shop', UUIDStringToNum('024d4872-7d00-7000-8000-00000000000b'), '2050-03-15 10:00:00.000', '2050-03-15 10:00:00.100', 'zoe', 'lnk_zoe', 'v3', 'spring', 'IT', false, 90);

INSERT INTO leads (workspace, lead_id, received_at, external_id, event_name, mode, quantity, affiliate_id, link_id, utm_campaign, match_rule, version) VALUES
    ('shop', 'lead-1', '2050-06-10 10:00:00.000', 'u1', 'signup', 'async', 1, '', '', '', 'none', 1),
    ('shop', 'lead-2', '2050-06-11 16:00:00.000', 'u2', 'seats', 'async', 5, 'bob', 'lnk_bob', 'autumn', 'click_id', 2),
    ('shop', 'lead-3', '2050-06-11 17:00:00.000', 'u3', 'signup', 'async', 1, '', '', '', 'none', 1),
    ('shop', 'lead-4', '2050-06-11 17:00:00.000', 'u4', 'signup', 'deferred', 1, 'ann', 'lnk_review', 'spring', 'click_id', 2);

-- The first lead's click arrived late.
INSERT INTO leads (workspace, lead_id, received_at, external_id, event_name, mode, quantity, affiliate_id, link_id, utm_campaign, match_rule, version) VALUES
    ('shop', 'lead-1', '2050-06-10 10:00:00.000', 'u1', 'signup', 'async', 1, 'ann', 'lnk_review', 'spring', 'click_id', 2);

INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, received_at, currency, amount, tax, amount_usd, net_usd, fx_source, click_id, clicked_at, visitor_id, affiliate_id, link_id, utm_campaign, country, match_rule, match_key, status, version) VALUES
    ('shop', 'e01', true, '2050-06-10', 'payment', 'pi_1', 'pi_1', '2050-06-10 11:00:00.000', '2050-06-10 11:00:00.900', 'eur', 11900, 1900, 130.900000, 110.000000, 'ecb', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000001'), '2050-06-10 09:05:10.000', 'v1', 'ann', 'lnk_review', 'spring', 'DE', 'click_id', 'click:024d5a1e-7800-7000-8000-000000000001', 'booked', 10),
    ('shop', 'e02', true, '2050-06-11', 'refund', 're_1', 'pi_1', '2050-06-11 08:00:00.000', '2050-06-11 08:00:00.900', 'eur', -5950, -950, -65.450000, -55.000000, 'ecb', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000001'), '2050-06-10 09:05:10.000', 'v1', 'ann', 'lnk_review', 'spring', 'DE', 'sale', 'pi_1', 'booked', 10),
    ('shop', 'e03', true, '2050-06-11', 'payment', 'in_3', 'in_3', '2050-06-11 15:30:00.000', '2050-06-11 15:30:00.900', 'usd', 4900, 0, 49.000000, 49.000000, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000003'), '2050-06-11 14:30:00.000', 'v1', 'ann', 'lnk_video', '', 'DE', 'stripe_customer', 'customer:cus_3', 'booked', 10),
    ('shop', 'e04', true, '2050-06-11', 'payment', 'pi_4', 'pi_4', '2050-06-11 16:00:00.000', '2050-06-11 16:00:00.900', 'jpy', 15000, 0, 100.500000, 100.500000, 'file:demo-rates', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000003'), '2050-06-11 14:30:00.000', 'v1', 'ann', 'lnk_video', '', 'DE', 'click_id', 'click:024d5a1e-7800-7000-8000-000000000003', 'booked', 10),
    ('shop', 'e05', true, '2050-06-11', 'payment', 'pi_5', 'in_5', '2050-06-11 16:05:00.000', '2050-06-11 16:05:00.009', 'usd', 1200, 0, 12.000000, 12.000000, 'usd', '', NULL, '', '', '', '', '', 'none', '', 'booked', 10),
    ('shop', 'e14', true, '2050-06-11', 'payment', 'pi_51', 'in_5', '2050-06-11 16:05:30.000', '2050-06-11 16:05:30.009', 'usd', 800, 0, 8.000000, 8.000000, 'usd', '', NULL, '', '', '', '', '', 'none', '', 'booked', 10),
    ('shop', 'e15', true, '2050-06-11', 'payment', 'in_5', 'in_5', '2050-06-11 16:05:30.000', '2050-06-11 16:05:30.009', 'usd', 0, 0, NULL, NULL, '', '', NULL, '', '', '', '', '', 'none', '', 'booked', 10),
    ('shop', 'e06', true, '2050-06-11', 'payment', 'pi_6', 'pi_6', '2050-06-11 16:06:00.000', '2050-06-11 16:06:00.900', 'kwd', 12345, 0, NULL, NULL, '', '', NULL, '', '', '', '', '', 'none', '', 'booked', 10),
    ('unlisted/acct_new/', 'e07', true, '2050-06-11', 'payment', 'ch_7', 'ch_7', '2050-06-11 16:07:00.000', '2050-06-11 16:07:00.900', 'usd', 777700, 0, 7777.000000, 7777.000000, 'usd', '', NULL, '', '', '', '', '', 'none', '', 'held', 10),
    ('shop', 'e08', true, '2050-06-11', 'payment', 'pi_8', 'pi_8', '2050-06-11 16:08:00.000', '2050-06-11 16:08:00.900', 'usd', 1000, 0, 10.000000, 10.000000, 'usd', '', NULL, '', 'aff', '', '', '', 'affiliate', 'affiliate:aff', 'booked', 10),
    ('shop', 'e09', true, '2050-06-11', 'payment', 'ch_1', 'ch_1', '2050-06-10 11:00:00.000', '2050-06-10 11:00:00.900', 'eur', 11900, 1900, 130.900000, 110.000000, 'ecb', '', NULL, '', '', '', '', '', 'none', '', 'booked', 10),
    ('shop', 'e10', true, '2050-06-11', 'dispute', 'dp_3', 'in_3', '2050-06-11 18:00:00.000', '2050-06-11 18:00:00.900', 'usd', -4900, 0, -49.000000, -49.000000, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000003'), '2050-06-11 14:30:00.000', 'v1', 'ann', 'lnk_video', '', 'DE', 'sale', 'in_3', 'booked', 10),
    ('shop', 'e11', true, '2050-06-11', 'dispute_reversal', 'dp_3', 'in_3', '2050-06-11 19:00:00.000', '2050-06-11 19:00:00.900', 'usd', 4900, 0, 49.000000, 49.000000, 'usd', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000003'), '2050-06-11 14:30:00.000', 'v1', 'ann', 'lnk_video', '', 'DE', 'sale', 'in_3', 'booked', 10),
    ('shop', 'e12', false, '2050-06-11', 'payment', 'pi_test', 'pi_test', '2050-06-11 16:00:00.000', '2050-06-11 16:00:00.900', 'usd', 500000, 0, 5000.000000, 5000.000000, 'usd', '', NULL, '', 'ann', '', '', '', 'affiliate', 'affiliate:ann', 'booked', 10),
    ('other', 'e13', true, '2050-06-11', 'payment', 'pi_other', 'pi_other', '2050-06-11 16:00:00.000', '2050-06-11 16:00:00.900', 'usd', 900000, 0, 9000.000000, 9000.000000, 'usd', '', NULL, '', 'ann', '', '', '', 'affiliate', 'affiliate:ann', 'booked', 10);

-- Knowing more: pi_4 is credited to bob after all, and ch_1 was the charge of pi_1.
INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, received_at, currency, amount, tax, amount_usd, net_usd, fx_source, click_id, clicked_at, visitor_id, affiliate_id, link_id, utm_campaign, country, match_rule, match_key, status, superseded_by, version) VALUES
    ('shop', 'e04', true, '2050-06-11', 'payment', 'pi_4', 'pi_4', '2050-06-11 16:00:00.000', '2050-06-11 16:00:00.900', 'jpy', 15000, 0, 100.500000, 100.500000, 'file:demo-rates', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000005'), '2050-06-11 15:00:00.000', 'v3', 'bob', 'lnk_bob', 'autumn', 'IT', 'click_id', 'click:024d5a1e-7800-7000-8000-000000000005', 'booked', '', 11),
    ('shop', 'e09', true, '2050-06-11', 'payment', 'ch_1', 'pi_1', '2050-06-10 11:00:00.000', '2050-06-10 11:00:00.900', 'eur', 0, 0, 0, 0, 'ecb', '', NULL, '', '', '', '', '', 'none', '', 'superseded', 'pi_1', 20);

-- v1 follows the review's link once more after half an hour, and again an hour and a half after the first time: the same click, and a
-- new one. v3 follows bob's once more after twenty minutes: the same click. Three page views: v1 twice, and v5, who followed no link. A fourth is a bot's.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, link_id, visitor_id, utm_campaign, country, is_bot, version) VALUES
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-00000000000c'), '2050-06-10 09:35:10.000', '2050-06-10 09:35:10.200', 'ann', 'lnk_review', 'v1', 'spring', 'DE', false, 89),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-00000000000d'), '2050-06-10 10:35:10.000', '2050-06-10 10:35:10.200', 'ann', 'lnk_review', 'v1', 'spring', 'DE', false, 88),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000012'), '2050-06-11 15:20:00.000', '2050-06-11 15:20:00.100', 'bob', 'lnk_bob', 'v3', 'autumn', 'IT', false, 83);

INSERT INTO page_views (workspace, page_view_id, viewed_at, received_at, visitor_id, url, is_bot, version) VALUES
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-00000000000e'), '2050-06-10 09:06:10.000', '2050-06-10 09:06:10.200', 'v1', 'https://shop.example/?via=ann', false, 87),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-00000000000f'), '2050-06-10 23:59:10.000', '2050-06-10 23:59:10.200', 'v1', 'https://shop.example/pricing', false, 86),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000010'), '2050-06-11 09:00:10.000', '2050-06-11 09:00:10.200', 'v5', 'https://shop.example/', false, 85),
    ('shop', UUIDStringToNum('024d5a1e-7800-7000-8000-000000000011'), '2050-06-11 09:00:11.000', '2050-06-11 09:00:11.200', 'crawler', 'https://shop.example/', true, 84);
