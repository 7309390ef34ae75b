// Package fx turns the amounts that Stripe sends into US dollars, exactly.
//
// An amount is an integer of minor units. Stripe's own exponent of the currency (Exponents) makes
// major units of it, and the rate of the movement's own UTC day (Table) makes dollars of those. USD
// multiplies integers by the rational rate and rounds once, half to even, at six places. No binary
// floating point takes part anywhere, and a test reads this package's source to keep it so.
//
// Rates come from sources in an order of preference (ParseSources): the European Central Bank, Open
// Exchange Rates, an operator's CSV file, and fixed rates that are built in (BuiltInPegs). What a
// Table answers depends only on the rates it was built from. Live keeps one up to date.
package fx
