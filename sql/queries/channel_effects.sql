-- Which channels would cost sales if they were gone?
-- effect: which part of the time's sales would be lost without the channel, 0 to 1, if visitors went on from channel to channel
-- as those did who clicked in the time and the lookback_days before it (a Markov chain of first order; clicks of one channel in
-- a row are one step). The effects add up to more than 1: a sale needs each channel on its way. It weighs the data_driven
-- column of attribution_models.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param lookback_days UInt16 = 90: days before a sale in which a click counts
SELECT channel, round(effect, 6) AS effect
FROM channel_effects(
    workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')},
    lookback_days = {lookback_days:UInt16}
)
ORDER BY effect DESC, channel
SETTINGS optimize_move_to_prewhere_if_final = 0, max_bytes_before_external_group_by = 1000000000
