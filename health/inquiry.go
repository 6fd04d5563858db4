package health

import (
	"fmt"
	"slices"
	"time"
)

// inquiry is one probe of one path: its judge, and what counts of the judge's verdict.
type inquiry struct {
	probe  Probe
	judge  *Judge
	of     *watch
	common *common
	stands Verdict   // the verdict that counts
	counts bool      // the target's death is held against the uplink
	fell   time.Time // when the judge found it dead; zero: it has not since it began
	since  time.Time // since when something seemed to be wrong, when it fell
	doubt  time.Time // the doubt for which others have been asked already
}

// start begins anew with what stands.
func (i *inquiry) start(v Verdict) {
	i.judge.Start(v)
	i.stands, i.counts, i.fell = v, v == Dead, time.Time{}
}

// pause forgets what is open. One that has been answered must show itself again afterwards, unless its target says
// nothing of the uplink.
func (i *inquiry) pause() {
	if i.stands == Undecided || i.bad() {
		i.start(Undecided)
		return
	}
	i.start(Dead)
}

// bad reports whether the target says nothing of the uplink, because nobody is answered by it.
func (i *inquiry) bad() bool { return i.common.bad && !i.counts }

func (i *inquiry) ballot() ballot {
	return ballot{verdict: i.stands, bad: i.bad(), why: func() string { return i.probe.Target.String() + ": " + i.why() }}
}

// why says in words why it is not alive.
func (i *inquiry) why() string {
	switch t := i.judge.tally; {
	case t.err != nil && i.judge.lost > 0:
		return fmt.Sprintf("%v (%d lost)", t.err, i.judge.lost)
	case i.judge.answered > 0:
		return fmt.Sprintf("answers again, %d of %d in a row", i.judge.answered, i.probe.Rise)
	}
	return "not answered yet"
}

// common is a target of one family with all who ask it. A gateway is asked by its own uplink only.
type common struct {
	key     commonKey
	members []*inquiry
	bad     bool
	waiting bool      // a fall is not yet known to count or not
	next    time.Time // when it counts at the latest
}

// commonKey tells targets apart. Two probes of an uplink for the same target are no two witnesses: each meets its likes.
type commonKey struct {
	target Target
	path   Key // without the uplink, unless the target is its own
	nth    int
}

func commonKeyOf(p Probe, k Key, nth int) commonKey {
	if p.Target.Kind != Gateway {
		k.Uplink = ""
	}
	return commonKey{p.Target, k, nth}
}

func (c *common) leave(i *inquiry) {
	c.members = slices.DeleteFunc(c.members, func(m *inquiry) bool { return m == i })
}

// asking are the members whose uplinks have a link to ask by.
func (c *common) asking() (all []*inquiry) {
	for _, i := range c.members {
		if i.of.asks() {
			all = append(all, i)
		}
	}
	return all
}

func (i *inquiry) testimony() testimony {
	return testimony{
		dead:     !i.fell.IsZero(),
		counts:   i.counts,
		since:    i.since,
		fell:     i.fell,
		heard:    i.judge.heard,
		patience: i.probe.Interval + i.probe.Timeout,
	}
}
