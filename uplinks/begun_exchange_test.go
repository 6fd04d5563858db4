package uplinks_test

import (
	"maps"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// An uplink takes a new id, and one that is down takes its id. That one has no route by which it is known, so that what the first has begun
// to have must not seem to be what it has: stopped after any write, the next change keeps the connections of the first by their link.
func TestExchangeThatHasBegunWithAnUplinkThatIsDown(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	facts.Links = maps.Clone(facts.Links)
	down := facts.Links["eth1"]
	down.Up = false
	facts.Links["eth1"] = down
	to := withIDs(from, [2]marks.ID{9, 1})
	for after, writes := -1, 0; after < writes && !t.Failed(); after++ {
		k := &markedKernel{uplinkstest.NewFake(facts), t, map[openConnection]marks.Mark{}, -1}
		mustSyncTo(t, k.Fake, from)
		for _, family := range uplinks.Families {
			k.marks[openConnection{"eth0", family}] = from.Mark(from.Uplinks[0])
		}
		writes = max(writes, k.syncStopped(to, after))
		for c, mark := range k.marks {
			if mark != to.Mask.Mark(9) {
				t.Errorf("stopped after %d writes: in the end %s connections have the mark %s", after, c.family, mark)
			}
		}
	}
}
