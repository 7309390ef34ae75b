package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days is a duration that may also be written in days: 14d.
type days time.Duration

// UnmarshalText reads 14d, 36h or 0.
func (d *days) UnmarshalText(text []byte) error {
	if n, ok := strings.CutSuffix(string(text), "d"); ok {
		count, err := strconv.Atoi(n)
		if err != nil || count < 0 || count > 3660 {
			return fmt.Errorf("read days %q: not a whole number of days up to ten years (hint: 14d)", text)
		}
		*d = days(time.Duration(count) * 24 * time.Hour)
		return nil
	}
	if string(text) == "0" {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("read duration %q (hint: 14d, 36h or 0)", text)
	}
	*d = days(v)
	return nil
}
