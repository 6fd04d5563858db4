package config

import (
	"time"

	"replypath/health"
)

// The bounds of a probe's durations.
const (
	minInterval, maxInterval = 100 * time.Millisecond, time.Hour
	minTimeout, maxTimeout   = 50 * time.Millisecond, time.Minute
	minRetry                 = 50 * time.Millisecond
)

// fileTiming is the intervals and thresholds of a probe as written.
type fileTiming struct {
	interval, timeout, retry *durationValue
	fall, rise               *intValue
	loss, latency            *thresholds
}

// timingAt reads the keys that a probe and the table [probes] share.
func (t table) timingAt(known keys) fileTiming {
	return fileTiming{
		interval: t.durationAt("interval", known),
		timeout:  t.durationAt("timeout", known),
		retry:    t.durationAt("retry", known),
		fall:     t.intAt("fall", known),
		rise:     t.intAt("rise", known),
		loss:     t.thresholdsAt("loss", known),
		latency:  t.thresholdsAt("latency", known),
	}
}

// resolve returns the probe with the written keys in place of the defaults.
func (f fileTiming) resolve(defaults health.Probe) health.Probe {
	p := defaults
	p.Interval = f.interval.within(p.Interval, minInterval, maxInterval)
	p.Timeout = f.timeout.within(p.Timeout, minTimeout, maxTimeout)
	p.Retry = f.retry.within(min(p.Retry, p.Interval), minRetry, maxInterval)
	if valid := f.interval == nil || f.interval.val == p.Interval; valid && p.Retry > p.Interval {
		f.retry.addMistake("use at most the interval: after a loss probes are sent more often, not less",
			"retry %s is longer than the interval, %s", formatDuration(p.Retry), formatDuration(p.Interval))
	}
	p.Fall = inBounds(f.fall, p.Fall, 1, 100, "the consecutive losses after which the probe is down")
	p.Rise = inBounds(f.rise, p.Rise, 1, 1000, "the consecutive answers after which it is up again")
	p.Loss = f.loss.percents(p.Loss)
	p.Latency = f.latency.durations(p.Latency)
	return p
}

// thresholds is a pair of values, or "off".
type thresholds struct {
	value
	off       bool
	high, low value
	known     keys
}

// thresholdsAt returns the thresholds at the key; nil if it is absent or of another type.
func (t table) thresholdsAt(key string, known keys) *thresholds {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	if v.raw == off {
		return &thresholds{value: v, off: true}
	}
	both, ok := v.asPair(`a list of two, high and low, or "off"`, known)
	if !ok {
		return nil
	}
	return &thresholds{v, false, both[0], both[1], known}
}

func (h *thresholds) percents(defaults health.LossThresholds) health.LossThresholds {
	if h == nil || h.off {
		return defaultOrOff(h, defaults)
	}
	high, low := h.high.asInt(h.known), h.low.asInt(h.known)
	if high == nil || low == nil {
		return defaults
	}
	p := health.LossThresholds{
		High: inBounds(high, defaults.High, 1, 100, `percent; "off" ignores loss`),
		Low:  inBounds(low, defaults.Low, 0, 99, "percent"),
	}
	h.checkOrder(p.High, p.Low, low.val == int64(p.Low) && high.val == int64(p.High))
	return p
}

func (h *thresholds) durations(defaults health.LatencyThresholds) health.LatencyThresholds {
	if h == nil || h.off {
		return defaultOrOff(h, defaults)
	}
	high, low := h.high.asDuration(h.known), h.low.asDuration(h.known)
	if high == nil || low == nil {
		return defaults
	}
	d := health.LatencyThresholds{
		High: high.within(defaults.High, time.Millisecond, maxTimeout),
		Low:  low.within(defaults.Low, time.Microsecond, maxTimeout),
	}
	h.checkOrder(int(d.High), int(d.Low), low.val == d.Low && high.val == d.High)
	return d
}

// defaultOrOff returns the default if the key is absent, and the zero value for "off".
func defaultOrOff[T any](h *thresholds, usual T) (none T) {
	if h == nil {
		return usual
	}
	return none
}

// checkOrder reports that the second threshold is not below the first, unless one of them is invalid itself.
func (h *thresholds) checkOrder(high, low int, valid bool) {
	if valid && low >= high {
		h.addMistake("write the higher value first, such as "+h.known.example(h.key),
			"the second of %s must be below the first", h.key)
	}
}
