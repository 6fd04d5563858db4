package config

import (
	"strings"
	"time"
)

// off is the string that disables a feature.
const off = "off"

// durationValue is a value of type duration.
type durationValue struct {
	value
	val time.Duration
}

// durationAt returns the duration at the key; nil if it is absent or not a duration.
func (t table) durationAt(key string, known keys) *durationValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	return v.asDuration(known)
}

// asDuration reads the value as a duration. A number without a unit is a mistake.
func (v value) asDuration(known keys) *durationValue {
	remedy := "write a number with a unit (ms, s, m or h) in quotes, such as " + v.key + " = " + known.example(v.key)
	switch is := v.raw.(type) {
	case int64, float64:
		v.addMistake(remedy, "%s has no unit", v.describe())
	case string:
		d, err := time.ParseDuration(is)
		switch {
		case is != "" && strings.Trim(is, "0123456789.+-") == "": // time.ParseDuration accepts "0"
			v.addMistake(remedy, "%s has no unit", v.describe())
		case err != nil:
			v.addMistake(remedy, "%s is not a duration: %q", v.describe(), is)
		default:
			return &durationValue{v, d}
		}
	default:
		v.addTypeMistake("a duration", known.example(v.key))
	}
	return nil
}

// within returns the duration if it is set and within the bounds, and otherwise the fallback.
func (s *durationValue) within(fallback, low, high time.Duration) time.Duration {
	switch {
	case s == nil:
		return fallback
	case s.val < low || s.val > high:
		s.addMistake("use a duration from "+formatDuration(low)+" to "+formatDuration(high), "%s cannot be %s", s.describe(), formatDuration(s.val))
		return fallback
	}
	return s.val
}

// formatDuration formats a duration without trailing zero units: "1h", not "1h0m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
