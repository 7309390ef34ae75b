CREATE TABLE goose_db_version
(
    `version_id` Int64,
    `is_applied` UInt8,
    `date` Date DEFAULT now(),
    `tstamp` DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (version_id)
SETTINGS index_granularity = 8192;
INSERT INTO goose_db_version (version_id, is_applied)
    SELECT arrayJoin([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 36, 37, 38, 40, 41, 42, 45, 46, 47, 48, 49, 53, 54, 55, 56, 57, 58, 59, 63, 64, 67, 69, 70, 71, 72, 73, 74, 77, 78, 85, 90, 94, 95, 98, 103, 106, 127, 130, 137]), 1;
