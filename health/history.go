package health

import "time"

// historyMinutes is how many minutes a history goes back.
const historyMinutes = 60

// history is what the probes of a family saw in each minute of the last hour.
type history struct {
	firstMinute int64 // the first minute
	minutes     [historyMinutes]minute
}

type minute struct {
	number int64 // since 1970
	sent   int
	lost   int
	sum    time.Duration
	max    time.Duration
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// add takes in an outcome.
func (h *history) add(now time.Time, o Outcome) {
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

// lastHour are the minutes of the last hour, or since it began, without a gap.
func (h *history) lastHour(now time.Time) []MinuteStats {
	to := minuteOf(now)
	from := min(max(h.firstMinute, to-historyMinutes+1), to)
	all := make([]MinuteStats, 0, to-from+1)
	for n := from; n <= to; n++ {
		slot := MinuteStats{At: time.Unix(60*n, 0)}
		if m := h.minutes[n%historyMinutes]; m.number == n {
			slot.Sent, slot.Lost, slot.MaxRTTSeconds = m.sent, m.lost, m.max.Seconds()
			if answered := m.sent - m.lost; answered > 0 {
				slot.MeanRTTSeconds = (m.sum / time.Duration(answered)).Seconds()
			}
		}
		all = append(all, slot)
	}
	return all
}
