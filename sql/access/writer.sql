-- Loads: processor run, and the commands that only insert (catalogue, credit, fx, earnings, spend, replay range and dead-letters).

CREATE ROLE IF NOT EXISTS {database}_writer;

-- It inserts and never alters. What it may create is the shadow database of the hourly audit. SYSTEM SYNC REPLICA is for
-- commands that must not go by what a server lacks, above all earnings close, and for the migrations of that shadow.
GRANT SELECT, INSERT, SYSTEM SYNC REPLICA ON {database}.*,
    SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, TRUNCATE, SYSTEM SYNC REPLICA
    ON {database}_audit_*.*,
    SELECT ON system.*,
    TABLE ENGINE ON *,
    CLUSTER ON *.*
TO {database}_writer WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE {database}_writer SETTINGS
    optimize_move_to_prewhere_if_final = 0 CONST,
    distributed_product_mode = 'global',
    distributed_foreground_insert = 1
TO {database}_writer;
