package health

import "time"

// consider draws the conclusions from what a judge has just heard.
func (m *Monitor) consider(i *inquiry, now time.Time, answered bool) {
	c := i.common
	if answered && c.bad {
		m.rehabilitate(c, now)
	}
	fell := false
	switch i.judge.verdict {
	case Alive:
		i.stands, i.counts, i.fell = Alive, false, time.Time{}
	case Dead:
		if fell = i.fell.IsZero() && !i.counts; fell {
			i.fell, i.since = now, i.judge.Doubt()
		}
	}
	if fell || c.waiting {
		m.settle(c, now)
	}
}

// settle finds out whose falls count and whether the target is bad.
func (m *Monitor) settle(c *common, now time.Time) {
	if c.bad {
		return
	}
	members := c.asking()
	all := make([]testimony, 0, len(members))
	for _, i := range members {
		all = append(all, i.testimony())
	}
	fallen, bad, next := convict(all, now)
	c.waiting, c.next = !next.IsZero(), next
	for _, n := range fallen {
		i := members[n]
		i.stands, i.counts = Dead, true
		m.evaluate(i.of, now)
	}
	if len(fallen) > 0 {
		m.settle(c, now) // one witness less
		return
	}
	if bad {
		c.bad = true
		m.tellTarget(c, members, now)
		m.evaluateAll(c, now)
	}
	for _, i := range members {
		if c.waiting && !i.fell.IsZero() && !i.counts {
			i.of.nudge()
		}
	}
}

// rehabilitate ends that a target is bad, since somebody has been answered. Those on whom it failed begin anew: their
// misses were the target's.
func (m *Monitor) rehabilitate(c *common, now time.Time) {
	c.bad = false
	for _, i := range c.members {
		if !i.counts && !i.fell.IsZero() {
			i.start(i.stands)
			i.of.nudge()
		}
	}
	m.tellTarget(c, c.members, now)
	m.evaluateAll(c, now)
}

func (m *Monitor) evaluateAll(c *common, now time.Time) {
	for _, i := range c.members {
		m.evaluate(i.of, now)
	}
}

// enough is how many others are asked when a target does not answer: one answer tells that it is not the target.
const enough = 3

// crossCheck has the target asked by others soon, when it seems to be wrong on this uplink since then.
func (m *Monitor) crossCheck(i *inquiry, since time.Time) {
	var others []*inquiry
	for _, other := range i.common.members {
		if other == i || other.stands != Alive || !other.fell.IsZero() || !other.of.asks() {
			continue
		}
		if !other.judge.heard.Before(since) || !other.judge.asked.Before(since) {
			return
		}
		if len(others) < enough {
			others = append(others, other)
		}
	}
	for _, other := range others {
		other.judge.Hurry()
		other.of.nudge()
	}
}

// look sees to what has had its time: falls that count now, hold-downs and strays that are over.
func (m *Monitor) look(w *watch, now time.Time) {
	for _, i := range w.inquiries {
		if c := i.common; c.waiting && !now.Before(c.next) {
			m.settle(c, now)
		}
	}
	if !w.review.IsZero() && !now.Before(w.review) {
		m.evaluate(w, now)
	}
}
