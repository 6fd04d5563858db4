package config

import (
	"strings"
	"time"
)

// off is the word that switches something off.
const off = "off"

// durationValue is a duration.
type durationValue struct {
	value
	val time.Duration
}

// durationAt is the duration that the key stands for.
func (t table) durationAt(key string, known keys) *durationValue {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	return v.asDuration(known)
}

// asDuration reads the value as a duration. A number alone could be anything.
func (v value) asDuration(known keys) *durationValue {
	remedy := "write a number and ms, s, m or h, in quotes, as in " + v.key + " = " + known.example(v.key)
	switch is := v.raw.(type) {
	case int64, float64:
		v.addMistake(remedy, "%s has no unit", v.describe())
	case string:
		d, err := time.ParseDuration(is)
		switch {
		case is != "" && strings.Trim(is, "0123456789.+-") == "": // the library lets "0" pass
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

// within is the duration as written when it is within the bounds, and otherwise the other.
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

// formatDuration is the duration without the zeros at its end: "1h", not "1h0m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
