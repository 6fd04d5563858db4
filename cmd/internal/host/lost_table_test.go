package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// lostTableTest is a host whose table of nftables is in force and prepared, with the events of nftables.
type lostTableTest struct {
	*testing.T
	gateway *world.Host
	host    *host.Host
	events  chan host.Event
	listed  string // the table in force
}

// HandleEvent implements host.EventHandler.
func (l *lostTableTest) HandleEvent(e host.Event) { l.events <- e }

func newLostTableTest(t *testing.T) *lostTableTest {
	w := world.TwoISPs(t)
	s := settings(w, marks.Nftables)
	l := &lostTableTest{T: t, gateway: w.Gateway, events: make(chan host.Event, 100), host: openHost(t, w.Gateway, host.Options{StateDir: t.TempDir(), Backend: marks.Nftables, TableBase: s.TableBase})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	l.gateway.Do(func() {
		if _, err := uplinks.Sync(t.Context(), l.host, s); err != nil {
			t.Fatal(err)
		}
		facts, _, err := l.host.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.host.PrepareTable(uplinks.Desired(s, facts, nil).TableLoads()); err != nil {
			t.Fatal(err)
		}
	})
	go l.gateway.Do(func() {
		defer close(ended)
		l.host.FirewallEvents().Watch(ctx, l)
	})
	t.Cleanup(func() {
		stop()
		<-ended
	})
	l.await()
	l.listed = l.list()
	return l
}

// await waits for an event.
func (l *lostTableTest) await() {
	l.Helper()
	select {
	case <-l.events:
	case <-time.After(time.Minute):
		l.Fatal("no event")
	}
}

func (l *lostTableTest) list() string { return l.gateway.Run("nft", "-s", "list", "ruleset") }

// restore restores the table, and wants as many steps.
func (l *lostTableTest) restore(when string, steps int) {
	l.Helper()
	done, err := l.host.RestoreTable()
	if err != nil || len(done) != steps {
		l.Errorf("%s: %d steps, %v", when, len(done), err)
	}
}

// wantTable wants the table that was in force. Chains and the elements of maps may come in another order.
func (l *lostTableTest) wantTable(when string) {
	l.Helper()
	if got := l.list(); len(got) != len(l.listed) || strings.Count(got, "\n") != strings.Count(l.listed, "\n") {
		l.Errorf("%s: the table is\n%s\nwas\n%s", when, got, l.listed)
	}
}

func TestFlushedTableIsRestored(t *testing.T) {
	l := newLostTableTest(t)
	l.restore("nothing is lost", 0)
	for _, deletion := range []string{"flush ruleset", "delete table inet " + marks.NFTTable} {
		l.gateway.Run("nft", deletion)
		l.await()
		l.restore(deletion, len(uplinks.Families))
		l.wantTable(deletion)
		l.restore("it is back", 0)
	}
}

// What is not the loss of the table, or was repaired before, is left alone.
func TestOnlyALostTableIsRestored(t *testing.T) {
	l := newLostTableTest(t)
	for _, change := range []string{
		"add table ip " + marks.NFTTable, "delete table ip " + marks.NFTTable,
		"add table inet other; delete table inet other",
		"delete table inet " + marks.NFTTable + "; add table inet " + marks.NFTTable,
	} {
		l.gateway.Run("nft", change)
		l.await()
		l.restore(change, 0)
	}
	if l.gateway.Run("nft", "delete", "table", "inet", marks.NFTTable); l.list() != "" {
		t.Fatal("the table is still there")
	}
	l.await()
	l.gateway.Run("nft", "add", "table", "inet", marks.NFTTable) // before the repair
	l.await()
	l.restore("another program was first", 0)
	if text := l.list(); strings.Contains(text, "chain") {
		t.Errorf("the table of another program was changed:\n%s", text)
	}
}
