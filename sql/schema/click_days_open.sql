CREATE VIEW click_days_open
AS SELECT day
FROM click_days
WHERE (workspace = {workspace:String}) AND (day >= toDate({from:DateTime('UTC')})) AND (day <= toDate({to:DateTime('UTC')} - 1))
GROUP BY day
HAVING (max(computed_at) <= (max(changed_at) + toIntervalMinute(1))) OR (toDateTime(day, 'UTC') < {from:DateTime('UTC')}) OR ((toDateTime(day, 'UTC') + toIntervalDay(1)) > {to:DateTime('UTC')});
