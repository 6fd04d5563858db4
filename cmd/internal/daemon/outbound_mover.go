package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
)

// secondSweep is the time after which the connections of an uplink are moved again: packets in flight may have begun some while
// the rules changed.
const secondSweep = 500 * time.Millisecond

// maxWaitingMoves bounds the moves that wait for the mover: one for each path of the largest configuration.
const maxWaitingMoves = 512

// connectionMover is a kernel that can move connections. *host.Host implements it.
type connectionMover interface {
	MoveConnections(moves ...uplinks.Move) ([]host.Moved, error)
}

// outboundMover moves connections to other uplinks, once the rules and routes of a round are in force. Its round method belongs to
// the goroutine of the loop, Run has one of its own: the kernel walks all connections.
type outboundMover struct {
	kernel   connectionMover
	recorder *eventRecorder
	log      *slog.Logger
	states   *outboundStates
	tracker  uplinks.OutboundTracker
	waiting  chan []uplinks.Move                      // those of one uplink
	inUse    atomic.Pointer[map[uplinks.PathKey]bool] // the paths that a policy uses; replaced, never changed
}

func newOutboundMover(kernel connectionMover, states *outboundStates, log *slog.Logger) *outboundMover {
	return &outboundMover{kernel: kernel, recorder: states.recorder, states: states, log: log, waiting: make(chan []uplinks.Move, maxWaitingMoves)}
}

// round queues the moves that follow from the state that a round has put in force.
func (m *outboundMover) round(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts) {
	m.states.observe(s, f, v)
	moves := m.tracker.Update(s, f, v)
	used := m.tracker.Used()
	m.inUse.Store(&used)
	m.queue(moves)
}

// stillDue returns the moves of uplinks that no policy uses: what has begun by one that is in use again belongs there, but for those that
// have an address that it has no longer.
func (m *outboundMover) stillDue(moves []uplinks.Move) (due []uplinks.Move) {
	used := m.inUse.Load()
	return slices.DeleteFunc(slices.Clone(moves), func(move uplinks.Move) bool { return used != nil && (*used)[move.Path] && !move.LostOnly })
}

// queue queues moves. Those of one uplink are carried out together, as the kernel walks all connections for them. One that finds the
// queue full is dropped: the queue has room for one of each path.
func (m *outboundMover) queue(moves []uplinks.Move) {
	for _, group := range groupedByUplink(moves) {
		select {
		case m.waiting <- group:
		default:
			m.log.Warn("connections are not moved: too many moves wait", "uplink", group[0].Path.Uplink)
		}
	}
}

// groupedByUplink returns the moves of each uplink, at most one in each family together.
func groupedByUplink(moves []uplinks.Move) (groups [][]uplinks.Move) {
	for _, move := range moves {
		i := slices.IndexFunc(groups, func(g []uplinks.Move) bool {
			return len(g) == 1 && g[0].Path.Uplink == move.Path.Uplink && g[0].Family != move.Family
		})
		if i < 0 {
			groups = append(groups, []uplinks.Move{move})
		} else {
			groups[i] = append(groups[i], move)
		}
	}
	return groups
}

// Run carries out moves until the context ends.
func (m *outboundMover) Run(ctx context.Context) error {
	type second struct {
		due   time.Time
		moves []uplinks.Move
		done  []health.OutboundMove
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
		case moves := <-m.waiting:
			later = append(later, second{time.Now().Add(secondSweep), moves, m.move(moves)})
		case <-timer.C:
			if len(later) > 0 && !time.Now().Before(later[0].due) {
				m.moveAgain(later[0].moves, later[0].done)
				later = later[1:]
			}
		}
	}
}

// moveConnections carries out the moves of one uplink that are still due, and returns what each moved, also after a failure.
func (m *outboundMover) moveConnections(moves []uplinks.Move) (all []host.Moved) {
	due := m.stillDue(moves)
	moved, err := m.kernel.MoveConnections(due...)
	if err != nil {
		m.log.Error("cannot move connections", "uplink", moves[0].Path.Uplink, "family", moves[0].Path.Family, "err", err)
	}
	all = make([]host.Moved, len(moves))
	for i, move := range moves {
		if at := slices.IndexFunc(due, func(d uplinks.Move) bool { return d.Path == move.Path }); at >= 0 && at < len(moved) {
			all[i] = moved[at]
		}
	}
	return all
}

// move moves the connections for the first time.
func (m *outboundMover) move(moves []uplinks.Move) (done []health.OutboundMove) {
	began := time.Now()
	for i, moved := range m.moveConnections(moves) {
		done = append(done, health.OutboundMove{At: began, Reason: moves[i].Why, Connections: moved.Connections, Sockets: moved.Sockets, Milliseconds: float64(time.Since(began).Microseconds()) / 1000})
	}
	return done
}

// moveAgain moves what has begun meanwhile, and reports both moves.
func (m *outboundMover) moveAgain(moves []uplinks.Move, all []health.OutboundMove) {
	for i, moved := range m.moveConnections(moves) {
		move, done := moves[i], all[i]
		done.SecondSweep = moved.Connections
		done.Sockets += moved.Sockets
		if (move.AtInit || move.LostOnly) && done.Connections+done.Sockets+done.SecondSweep == 0 {
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

// drainRequest takes an uplink out of outbound, or puts it back.
type drainRequest struct {
	uplink        string
	drained, move bool
}

// execute implements request.
func (r drainRequest) execute(_ context.Context, c *configuration) error {
	if err := c.reconciler.Settings().CheckDrain(r.uplink); err != nil {
		return err
	}
	d, can := c.host.(interface {
		SetDrained(uplink string, drained bool) error
	})
	if !can {
		return fmt.Errorf("this kernel keeps no drained uplinks")
	}
	if err := d.SetDrained(r.uplink, r.drained); err != nil {
		return fmt.Errorf("save that %s is drained: %w", r.uplink, err)
	}
	state := map[bool]string{true: "drained", false: "back in use"}[r.drained]
	c.recorder.Record(health.Event{Kind: eventOutbound, Uplink: r.uplink, To: map[bool]string{true: "drained", false: "undrained"}[r.drained], Text: r.uplink + " is " + state + " for outbound connections, by the operator"})
	if r.drained && r.move {
		c.reconciler.moveAfterRound = append(c.reconciler.moveAfterRound, r.uplink)
	}
	return nil
}
