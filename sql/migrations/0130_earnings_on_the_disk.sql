-- +goose Up
-- What earnings and spend have stored is in no topic: it is on the disk before the command says so. After a loss of power a closed month
-- could be open again, or be closed without its lines.
ALTER TABLE earning_rules MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE earning_months MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE earning_lines MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE spend MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
