package monitor

import (
	"time"

	"replypath/health"
)

// historyMinutes is the length of a history.
const historyMinutes = 60

// history counts the probes of a path in each minute of the last hour, in a ring.
type history struct {
	firstMinute int64 // since 1970, when the path was added
	minutes     [historyMinutes]minute
}

type minute struct {
	number int64 // since 1970
	sent   int
	lost   int
	sum    time.Duration // of the round-trip times
	max    time.Duration
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (h *history) add(now time.Time, o health.Outcome) {
	n := minuteOf(now)
	m := &h.minutes[n%historyMinutes]
	if m.number != n {
		*m = minute{number: n}
	}
	m.sent++
	if o.Err != nil {
		m.lost++
		return
	}
	m.sum += o.RTT
	m.max = max(m.max, o.RTT)
}

// lastHour returns every minute of the last hour since the path was added, oldest first.
func (h *history) lastHour(now time.Time) []health.MinuteStats {
	last := minuteOf(now)
	first := min(max(h.firstMinute, last-historyMinutes+1), last)
	all := make([]health.MinuteStats, 0, last-first+1)
	for n := first; n <= last; n++ {
		stats := health.MinuteStats{At: time.Unix(60*n, 0)}
		if m := h.minutes[n%historyMinutes]; m.number == n {
			stats.Sent, stats.Lost, stats.MaxRTTSeconds = m.sent, m.lost, m.max.Seconds()
			if answered := m.sent - m.lost; answered > 0 {
				stats.MeanRTTSeconds = (m.sum / time.Duration(answered)).Seconds()
			}
		}
		all = append(all, stats)
	}
	return all
}
