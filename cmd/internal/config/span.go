package config

import (
	"strings"
	"time"
)

// off is the word that switches something off.
const off = "off"

// span is a duration.
type span struct {
	value
	is time.Duration
}

// span is the duration that the key stands for.
func (t table) span(key string, known keys) *span {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	return v.span(known)
}

// span reads the value as a duration. A number alone could be anything.
func (v value) span(known keys) *span {
	remedy := "write a number and ms, s, m or h, in quotes, as in " + v.key + " = " + known.example(v.key)
	switch is := v.is.(type) {
	case int64, float64:
		v.wrong(remedy, "%s has no unit", v.what())
	case string:
		d, err := time.ParseDuration(is)
		switch {
		case is != "" && strings.Trim(is, "0123456789.+-") == "": // the library lets "0" pass
			v.wrong(remedy, "%s has no unit", v.what())
		case err != nil:
			v.wrong(remedy, "%s is not a duration: %q", v.what(), is)
		default:
			return &span{v, d}
		}
	default:
		v.misfit("a duration", known.example(v.key))
	}
	return nil
}

// within is the duration as written when it is within the bounds, and otherwise the other.
func (s *span) within(otherwise, low, high time.Duration) time.Duration {
	switch {
	case s == nil:
		return otherwise
	case s.is < low || s.is > high:
		s.wrong("use a duration from "+words(low)+" to "+words(high), "%s cannot be %s", s.what(), words(s.is))
		return otherwise
	}
	return s.is
}

// words is the duration without the zeros at its end: "1h", not "1h0m0s".
func words(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
