CREATE VIEW clicks_counted
AS SELECT * EXCEPT counts
FROM clicks_seen(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, open_only = false)
WHERE counts;
