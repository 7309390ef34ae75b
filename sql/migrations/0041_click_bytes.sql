-- +goose Up
-- Clicks and page views take fewer bytes, and inserting them less CPU. Codecs and the expression are metadata: parts that are there keep their
-- bytes until they are merged. Only user_agent has another type, for which ClickHouse rewrites this one column of each part; reading and
-- inserting go on meanwhile. Executed again, nothing is left to do.
--
-- Agents repeat: some hundred make most of the traffic. As LowCardinality each is stored once in a part, and merges copy numbers instead of
-- texts. What a LowCardinality column has on disk are numbers of one or two bytes, mostly the same few: ZSTD writes these in half the bytes of
-- LZ4. received_at and version are near those of the rows around them, in no order: T64 keeps the bits that differ within 64 rows.
--
-- visitor_link was two rounds of SipHash for each of its eleven parts, half a microsecond of CPU a click; CityHash takes a tenth of it. Clicks that are stored keep
-- theirs, because retention_days may have emptied what it is computed from. It is compared with that of clicks within an hour only: one that
-- repeats a click of the hour before this migration counts as another click.
ALTER TABLE clicks
    MODIFY COLUMN user_agent LowCardinality(String) CODEC(ZSTD(1)),
    MODIFY COLUMN program_id CODEC(ZSTD(1)),
    MODIFY COLUMN host CODEC(ZSTD(1)),
    MODIFY COLUMN referrer_domain CODEC(ZSTD(1)),
    MODIFY COLUMN utm_source CODEC(ZSTD(1)),
    MODIFY COLUMN utm_medium CODEC(ZSTD(1)),
    MODIFY COLUMN utm_campaign CODEC(ZSTD(1)),
    MODIFY COLUMN ad_network CODEC(ZSTD(1)),
    MODIFY COLUMN channel CODEC(ZSTD(1)),
    MODIFY COLUMN country CODEC(ZSTD(1)),
    MODIFY COLUMN continent CODEC(ZSTD(1)),
    MODIFY COLUMN region CODEC(ZSTD(1)),
    MODIFY COLUMN city CODEC(ZSTD(1)),
    MODIFY COLUMN browser CODEC(ZSTD(1)),
    MODIFY COLUMN browser_version CODEC(ZSTD(1)),
    MODIFY COLUMN os CODEC(ZSTD(1)),
    MODIFY COLUMN os_version CODEC(ZSTD(1)),
    MODIFY COLUMN device CODEC(ZSTD(1)),
    MODIFY COLUMN trigger CODEC(ZSTD(1)),
    MODIFY COLUMN bot_reason CODEC(ZSTD(1)),
    MODIFY COLUMN consent CODEC(ZSTD(1)),
    MODIFY COLUMN received_at CODEC(T64('bit'), ZSTD(1)),
    MODIFY COLUMN version CODEC(T64('bit'), ZSTD(1)),
    MODIFY COLUMN visitor_link UInt64 MATERIALIZED if((visitor_id = '') AND (identity_hash = toFixedString('', 8)), cityHash64(click_id),
        cityHash64(if(visitor_id != '', visitor_id, hex(identity_hash)), program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign,
            utm_term, utm_content, ad_click_id,
            if(concat(affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id) = '', concat(host, path), '')));

ALTER TABLE page_views
    MODIFY COLUMN user_agent LowCardinality(String) CODEC(ZSTD(1)),
    MODIFY COLUMN page_view_id CODEC(ZSTD(1)),
    MODIFY COLUMN program_id CODEC(ZSTD(1)),
    MODIFY COLUMN link_id CODEC(ZSTD(1)),
    MODIFY COLUMN visitor_id CODEC(ZSTD(1)),
    MODIFY COLUMN url CODEC(ZSTD(1)),
    MODIFY COLUMN host CODEC(ZSTD(1)),
    MODIFY COLUMN path CODEC(ZSTD(1)),
    MODIFY COLUMN referrer CODEC(ZSTD(1)),
    MODIFY COLUMN referrer_domain CODEC(ZSTD(1)),
    MODIFY COLUMN channel CODEC(ZSTD(1)),
    MODIFY COLUMN country CODEC(ZSTD(1)),
    MODIFY COLUMN continent CODEC(ZSTD(1)),
    MODIFY COLUMN region CODEC(ZSTD(1)),
    MODIFY COLUMN city CODEC(ZSTD(1)),
    MODIFY COLUMN browser CODEC(ZSTD(1)),
    MODIFY COLUMN browser_version CODEC(ZSTD(1)),
    MODIFY COLUMN os CODEC(ZSTD(1)),
    MODIFY COLUMN os_version CODEC(ZSTD(1)),
    MODIFY COLUMN device CODEC(ZSTD(1)),
    MODIFY COLUMN bot_reason CODEC(ZSTD(1)),
    MODIFY COLUMN consent CODEC(ZSTD(1)),
    MODIFY COLUMN properties CODEC(ZSTD(1)),
    MODIFY COLUMN viewed_at CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN received_at CODEC(T64('bit'), ZSTD(1)),
    MODIFY COLUMN version CODEC(T64('bit'), ZSTD(1));
