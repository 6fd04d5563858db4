package health

import (
	"context"
	"slices"
	"time"
)

// watch takes over how a path is watched, and the path as it is now.
func (m *Monitor) watch(u Uplink, p Path, now time.Time) {
	w, known := m.watches[p.Key]
	if !known {
		w = &watch{uplink: u, path: p, since: now, proof: Proof{}.known(), wake: make(chan struct{}, 1)}
		w.history.began = minuteOf(now)
		m.watches[p.Key] = w
		m.engage(w, now)
		m.evaluate(w, now)
		if m.ctx != nil {
			m.begin(w)
		}
		return
	}
	asked, sameWay, sameUplink := w.asks(), w.path.same(p), w.uplink.equal(u)
	if w.path == p && sameUplink {
		return
	}
	w.uplink, w.path = u, p
	switch {
	case asked && !w.asks():
		m.pause(w, now)
	case !sameWay:
		w.forget()
		for _, i := range w.inquiries {
			i.start(i.stands)
		}
	}
	if w.asks() || !sameUplink {
		m.engage(w, now)
	}
	m.evaluate(w, now)
	w.nudge()
}

// engage makes the path's inquiries what they should be. A probe that is as it was keeps its judge.
func (m *Monitor) engage(w *watch, now time.Time) {
	had := w.inquiries
	w.inquiries = nil
	nth := map[Target]int{}
	for _, p := range w.uplink.Asked(w.path) {
		k := commonKeyOf(p, w.path.Key, nth[p.Target])
		nth[p.Target]++
		at := slices.IndexFunc(had, func(i *inquiry) bool { return i.probe == p && i.common.key == k })
		if at >= 0 {
			w.inquiries = append(w.inquiries, had[at])
			had = slices.Delete(had, at, at+1)
			continue
		}
		w.inquiries = append(w.inquiries, m.join(&inquiry{probe: p, judge: NewJudge(p), of: w}, k))
	}
	for _, i := range had {
		m.leave(i, now)
	}
}

func (m *Monitor) join(i *inquiry, k commonKey) *inquiry {
	c, known := m.commons[k]
	if !known {
		c = &common{key: k}
		m.commons[k] = c
	}
	c.members = append(c.members, i)
	i.common = c
	i.judge.Spread(m.begun)
	m.begun++
	return i
}

func (m *Monitor) leave(i *inquiry, now time.Time) {
	i.judge.Start(Undecided)
	i.common.leave(i)
	if len(i.common.members) == 0 {
		delete(m.commons, i.common.key)
		return
	}
	m.settle(i.common, now)
}

// pause ends the questions of a path that has no link to ask by.
func (m *Monitor) pause(w *watch, now time.Time) {
	w.forget()
	for _, i := range w.inquiries {
		i.pause()
		m.settle(i.common, now)
	}
}

func (m *Monitor) remove(w *watch, now time.Time) {
	delete(m.watches, w.path.Key)
	w.end()
	for _, i := range w.inquiries {
		m.leave(i, now)
	}
}

// begin starts the goroutine of a path, and its questions anew.
func (m *Monitor) begin(w *watch) {
	ctx, cancel := context.WithCancel(m.ctx)
	w.stop = cancel
	for _, i := range w.inquiries {
		i.start(i.stands)
	}
	m.tasks.Go(func() { m.keep(ctx, w) })
}

// end stops the goroutine of a path and its questions.
func (w *watch) end() {
	if w.stop != nil {
		w.stop()
	}
	w.stop = nil
	w.forget()
}
