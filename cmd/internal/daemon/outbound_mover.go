package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"

	"golang.org/x/sync/errgroup"
)

// secondSweep is the time after which the connections of an uplink are moved again: packets in flight may have begun some while
// the rules changed.
const secondSweep = 500 * time.Millisecond

// connectionMover is a kernel that can move connections. *host.Host implements it.
type connectionMover interface {
	DeleteTranslated(moves ...uplinks.Move) ([]host.Moved, error)
	MoveConnections(moves ...uplinks.Move) ([]host.Moved, error)
}

// outboundMover moves connections to other uplinks, once the rules and routes of a round are in force. Its round method belongs to
// the goroutine of the loop. Run has two of its own, as the kernel walks all connections: by one the kernel deletes those with a translated
// source, by the other those that are left are listed, which takes longer. What waits for either is carried out together.
type outboundMover struct {
	kernel   connectionMover
	recorder *eventRecorder
	log      *slog.Logger
	states   *outboundStates
	tracker  uplinks.OutboundTracker
	waiting  *moveQueue                   // for the kernel to delete
	begun    *moveQueue                   // for a list
	inForce  atomic.Pointer[movesInForce] // replaced, never changed
	changing sync.RWMutex                 // locked by hold
	held     bool                         // owned by the goroutine of the loop
	removed  []begunMove                  // what moveRemoved has carried out, until it is queued; owned likewise
}

// movesInForce is what the last round has put in force, on which it depends how a move is carried out.
type movesInForce struct {
	settings uplinks.Settings
	facts    uplinks.Facts
	used     map[uplinks.PathKey]bool // the paths that a policy uses
}

func newOutboundMover(kernel connectionMover, states *outboundStates, log *slog.Logger) *outboundMover {
	return &outboundMover{kernel: kernel, recorder: states.recorder, states: states, log: log, waiting: newMoveQueue(), begun: newMoveQueue()}
}

// round queues the moves that follow from the state that a round has put in force.
func (m *outboundMover) round(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts) {
	m.states.observe(s, f, v)
	moves := m.tracker.Update(s, f, v)
	m.inForce.Store(&movesInForce{s, f, m.tracker.Used()})
	m.queue(moves)
}

// hold keeps moves from being carried out until release: while connections get other marks, a mark may be that of two uplinks.
func (m *outboundMover) hold() {
	if !m.held {
		m.changing.Lock()
		m.held = true
	}
}

// release ends what hold began, if it was called.
func (m *outboundMover) release() {
	if m.held {
		m.held = false
		m.changing.Unlock()
	}
}

// moveRemoved carries out the moves of removed uplinks for the first time, also while others are held.
func (m *outboundMover) moveRemoved(moves []uplinks.Move) {
	m.removed = begin(moves)
	var done []*health.OutboundMove
	for i := range m.removed {
		done = append(done, &m.removed[i].done)
	}
	m.moveNow(m.kernel.MoveConnections, moves, done)
}

// stillDue returns the moves of uplinks that no policy uses, as they are to be carried out now, and what they have done: what has begun
// by an uplink that is in use again belongs there, but for those that have an address that it has no longer, or a mark that no uplink has.
func (m *outboundMover) stillDue(moves []begunMove) (due []uplinks.Move, done []*health.OutboundMove) {
	now := m.inForce.Load()
	for i, begun := range moves {
		move, used := begun.Move, false
		if now != nil {
			move = move.Under(now.settings, now.facts)
			used = now.used[move.Path]
		}
		if !used || begun.LostOnly || begun.Removed {
			due, done = append(due, move), append(done, &moves[i].done)
		}
	}
	return due, done
}

// queue queues moves.
func (m *outboundMover) queue(moves []uplinks.Move) {
	all := begin(moves)
	for i, move := range all {
		if j := slices.IndexFunc(m.removed, func(r begunMove) bool { return r.key() == move.key() }); j >= 0 {
			all[i].done = m.removed[j].done
		}
	}
	m.removed = nil
	m.waiting.add(all)
}

// Run carries out moves until the context ends.
func (m *outboundMover) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.deleteTranslated(ctx) })
	g.Go(func() error { return m.sweep(ctx) })
	return g.Wait()
}

// deleteTranslated begins moves, by deletions that the kernel does by itself, until the context ends.
func (m *outboundMover) deleteTranslated(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.waiting.ready:
			moves := m.waiting.take()
			m.carryOut(m.kernel.DeleteTranslated, moves)
			m.begun.add(moves)
		}
	}
}

// sweep moves the connections of moves that have begun, and half a second later those that had begun meanwhile, until the context ends.
func (m *outboundMover) sweep(ctx context.Context) error {
	type second struct {
		due   time.Time
		moves []begunMove
	}
	var later []second
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(later) > 0 {
			timer.Reset(time.Until(later[0].due))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.begun.ready:
			moves := m.begun.take()
			later = append(later, second{time.Now().Add(secondSweep), moves})
			m.carryOut(m.kernel.MoveConnections, moves)
		case <-timer.C:
			if m.begun.empty() && len(later) > 0 && !time.Now().Before(later[0].due) {
				m.moveAgain(later[0].moves)
				later = later[1:]
			}
		}
	}
}

// carryOut carries out those of the moves that are still due, when nothing holds them.
func (m *outboundMover) carryOut(by func(...uplinks.Move) ([]host.Moved, error), moves []begunMove) {
	m.changing.RLock()
	defer m.changing.RUnlock()
	due, done := m.stillDue(moves)
	m.moveNow(by, due, done)
}

// moveNow carries out the moves, and adds to what they have done, also after a failure. The time is that of the last write, or of the end
// while there was none.
func (m *outboundMover) moveNow(by func(...uplinks.Move) ([]host.Moved, error), due []uplinks.Move, all []*health.OutboundMove) {
	moved, err := by(due...)
	ended := time.Now()
	if err != nil {
		m.log.Error("cannot move all connections: those that are left keep to their uplink until they end", "uplinks", movedUplinks(due), "err", err)
	}
	for i, n := range moved {
		done := all[i]
		done.Connections += n.Connections
		done.Sockets += n.Sockets
		if !n.Written.IsZero() || done.Milliseconds == 0 {
			done.Milliseconds = float64(cmp.Or(n.Written, ended).Sub(done.At).Microseconds()) / 1000
		}
	}
}

// movedUplinks names the uplinks of the moves.
func movedUplinks(moves []uplinks.Move) string {
	var names []string
	for _, m := range moves {
		if !slices.Contains(names, m.Path.Uplink) {
			names = append(names, m.Path.Uplink)
		}
	}
	return strings.Join(names, ", ")
}

// moveAgain moves what has begun meanwhile, and reports both sweeps.
func (m *outboundMover) moveAgain(moves []begunMove) {
	again := make([]begunMove, len(moves))
	for i, move := range moves {
		again[i] = begunMove{move.Move, health.OutboundMove{At: move.done.At}}
	}
	m.carryOut(m.kernel.MoveConnections, again)
	for i, move := range moves {
		done, second := move.done, again[i].done
		done.SecondSweep, done.SecondSweepMilliseconds = second.Connections, second.Milliseconds
		done.Sockets += second.Sockets
		if (move.AtInit || move.LostOnly || move.Removed) && done.Connections+done.Sockets+done.SecondSweep == 0 {
			continue
		}
		m.states.moved(move.Path, done)
		family, _ := move.Family.MarshalText()
		text := fmt.Sprintf("%s %s: %s: %s", move.Path.Uplink, move.Family, done.Text(), move.Why)
		m.recorder.Record(health.Event{Kind: eventOutbound, Uplink: move.Path.Uplink, Family: string(family), To: "moved", Text: text})
		m.log.Info("connections moved", "uplink", move.Path.Uplink, "family", move.Family, "connections", done.Connections, "sockets", done.Sockets,
			"second_sweep", done.SecondSweep, "milliseconds", done.Milliseconds, "why", move.Why)
	}
}
