CREATE TABLE first_names
(
    `workspace` LowCardinality(String) COMMENT 'Names match within one workspace only',
    `name` String COMMENT 'reference:ID (a foreign click id) or affiliate:ID, where a secret key vouched for the click; public:… in front where anybody may have said so',
    `target` String COMMENT 'What the first report under this name named: click:ID or program:ID',
    `source` LowCardinality(String) COMMENT 'click.foreign_id, click.affiliate_id, lead.public',
    `at` DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    `version` UInt128 COMMENT 'Inverse of at, then a hash of target: the first report stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, name)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What the first click or browser that used a name said of it: one row a name, however many clicks carry it';
