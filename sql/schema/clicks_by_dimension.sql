CREATE VIEW clicks_by_dimension
AS SELECT
    dimension,
    value,
    day,
    clicks,
    page_views,
    visitors,
    clicks_at,
    page_views_at
FROM clicks_by_day
FINAL
WHERE (workspace = {workspace:String}) AND (day >= toDate({from:DateTime('UTC')})) AND (day <= toDate({to:DateTime('UTC')} - 1)) AND (day NOT IN (
    SELECT day
    FROM click_days_open(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
))
UNION ALL
SELECT
    dimension,
    value,
    day,
    clicks,
    page_views,
    visitors,
    clicks_at,
    page_views_at
FROM clicks_by_day_computed(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, open_only = true);
