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

// fileTiming is when a probe asks and how it is judged, as written.
type fileTiming struct {
	interval, timeout, retry *span
	fall, rise               *number
	loss, latency            *thresholds
}

// timing reads the keys that a probe and the table for all probes share.
func (t table) timing(known keys) fileTiming {
	return fileTiming{
		interval: t.span("interval", known),
		timeout:  t.span("timeout", known),
		retry:    t.span("retry", known),
		fall:     t.number("fall", known),
		rise:     t.number("rise", known),
		loss:     t.thresholds("loss", known),
		latency:  t.thresholds("latency", known),
	}
}

// believe is the probe with what is written in place of what is usual.
func (f fileTiming) believe(usual health.Probe) health.Probe {
	p := usual
	p.Interval = f.interval.within(p.Interval, minInterval, maxInterval)
	p.Timeout = f.timeout.within(p.Timeout, minTimeout, maxTimeout)
	p.Retry = f.retry.within(min(p.Retry, p.Interval), minRetry, maxInterval)
	if believed := f.interval == nil || f.interval.is == p.Interval; believed && p.Retry > p.Interval {
		f.retry.wrong("use at most the interval: questions are put more often after a miss, not more seldom",
			"retry %s is longer than the interval, %s", words(p.Retry), words(p.Interval))
	}
	p.Fall = within(f.fall, p.Fall, 1, 100, "so many lost in a row are down")
	p.Rise = within(f.rise, p.Rise, 1, 1000, "so many answered in a row are up again")
	p.Loss = f.loss.percents(p.Loss)
	p.Latency = f.latency.durations(p.Latency)
	return p
}

// thresholds are two values, or none with the word "off".
type thresholds struct {
	value
	off       bool
	high, low value
	known     keys
}

// thresholds are those that the key stands for.
func (t table) thresholds(key string, known keys) *thresholds {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	if v.is == off {
		return &thresholds{value: v, off: true}
	}
	both, ok := v.two(`a list of two, high and low, or "off"`, known)
	if !ok {
		return nil
	}
	return &thresholds{v, false, both[0], both[1], known}
}

func (h *thresholds) percents(usual health.Percents) health.Percents {
	if h == nil || h.off {
		return otherwise(h, usual)
	}
	high, low := h.high.number(h.known), h.low.number(h.known)
	if high == nil || low == nil {
		return usual
	}
	p := health.Percents{
		High: within(high, usual.High, 1, 100, `per cent; "off" looks at no loss`),
		Low:  within(low, usual.Low, 0, 99, "per cent"),
	}
	h.ordered(p.High, p.Low, low.is == int64(p.Low) && high.is == int64(p.High))
	return p
}

func (h *thresholds) durations(usual health.Durations) health.Durations {
	if h == nil || h.off {
		return otherwise(h, usual)
	}
	high, low := h.high.span(h.known), h.low.span(h.known)
	if high == nil || low == nil {
		return usual
	}
	d := health.Durations{
		High: high.within(usual.High, time.Millisecond, maxTimeout),
		Low:  low.within(usual.Low, time.Microsecond, maxTimeout),
	}
	h.ordered(int(d.High), int(d.Low), low.is == d.Low && high.is == d.High)
	return d
}

// otherwise is the usual when nothing is written, and nothing when that is written.
func otherwise[T any](h *thresholds, usual T) (none T) {
	if h == nil {
		return usual
	}
	return none
}

// ordered remembers that the second threshold is not below the first. What is not believed is wrong enough already.
func (h *thresholds) ordered(high, low int, believed bool) {
	if believed && low >= high {
		h.wrong("write the high one first and a lower one second, such as "+h.known.example(h.key),
			"the second of %s must be below the first", h.key)
	}
}
