CREATE TABLE click_days
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `day` Date COMMENT 'UTC day of clicked_at or viewed_at',
    `changed_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When something was last inserted that may change this day: a click or page view of it, a click of the day before, or one under an id of either. Read with max',
    `computed_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the computation of the rows in clicks_by_day began; 1970 before the first. Read with max',
    `counted_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'As computed_at, of the latest computation that stored counted. Read with max',
    `first_click` SimpleAggregateFunction(min, FixedString(16)) DEFAULT toFixedString(unhex('FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'), 16) COMMENT 'Least click_id of a click of this day, the day before, or of an id of either, whatever version; all bits: none. Read with min',
    `last_click` SimpleAggregateFunction(max, FixedString(16)) COMMENT 'The greatest in the same way; zero: none. Read with max',
    `first_page_view` SimpleAggregateFunction(min, FixedString(16)) DEFAULT toFixedString(unhex('FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'), 16) COMMENT 'Least page_view_id of a page view of this day; all bits: none. Read with min',
    `last_page_view` SimpleAggregateFunction(max, FixedString(16)) COMMENT 'The greatest; zero: none. Read with max',
    `last_click_received` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Latest received_at of its clicks, bots left out; 1970: none. Read with max',
    `last_page_view_received` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'The same of its page views'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, day)
SETTINGS index_granularity = 8192
COMMENT 'Which days clicks_by_day holds: those whose computed_at is more than a minute after their changed_at';
