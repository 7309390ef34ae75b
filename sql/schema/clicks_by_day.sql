CREATE TABLE clicks_by_day
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `dimension` LowCardinality(String) COMMENT 'What value is: program, affiliate, link, campaign, source, channel, referrer, landing_page, country, device, browser or affiliate_link_campaign; empty: everything together',
    `value` String COMMENT 'As the column of clicks; of landing_page host and path, of affiliate_link_campaign the three with line feeds between. Empty: none or unknown',
    `day` Date COMMENT 'UTC day',
    `clicks` UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out',
    `page_views` UInt64 COMMENT 'Page views, bots left out; those of affiliate, campaign and source are under the empty value, for a page view has none',
    `visitors` AggregateFunction(uniq, String) COMMENT 'Who came with a click, also a repeated one, or a page view; bots left out. Read with uniqMerge: exact up to 65,536 visitors, above by about 0.4 %',
    `clicks_at` Map(UInt8, UInt64) COMMENT 'Clicks by quarter of an hour, 0 to 95, quarters without one left out: days in any time zone are sums of these',
    `page_views_at` Map(UInt8, UInt64) COMMENT 'Page views in the same way',
    `counted` Array(Tuple(
        at DateTime('UTC'),
        visitor UInt64,
        program LowCardinality(String),
        affiliate LowCardinality(String),
        link LowCardinality(String),
        source LowCardinality(String),
        medium LowCardinality(String),
        campaign LowCardinality(String),
        channel LowCardinality(String),
        country LowCardinality(String),
        device LowCardinality(String))) COMMENT 'Each click that counts, by time, with the columns of clicks as they are called in filters; visitor is sipHash64 of clicks.visitor. Only where dimension is empty' CODEC(ZSTD(1)),
    `computed_at` DateTime64(3, 'UTC') COMMENT 'When it was computed; the latest stands'
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(day)
ORDER BY (workspace, dimension, value, day)
SETTINGS index_granularity = 8192
COMMENT 'Clicks, page views and visitors by day and dimension. Read it through clicks_by_dimension, which adds the days that it does not hold';
