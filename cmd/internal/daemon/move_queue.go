package daemon

import (
	"slices"
	"sync"
	"time"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// begunMove is a move with what it has done until now.
type begunMove struct {
	uplinks.Move
	done health.OutboundMove
}

// begin returns moves that have done nothing yet.
func begin(moves []uplinks.Move) (all []begunMove) {
	for _, move := range moves {
		all = append(all, begunMove{move, health.OutboundMove{At: time.Now(), Reason: move.Why}})
	}
	return all
}

// moveKey identifies moves of the same connections, of which the newest is enough. A reload gives an uplink other marks; connections keep
// theirs. What ends connections with a lost address is due while the uplink is in use, and a move of all its connections is not.
type moveKey struct {
	path     uplinks.PathKey
	mark     marks.Mark
	mask     marks.Mask
	lostOnly bool
}

func (m begunMove) key() moveKey { return moveKey{m.Path, m.Mark, m.Mask, m.LostOnly} }

// mergeMoves returns the moves that wait and newer ones, in their order, of the same connections one. Neither argument is changed.
func mergeMoves(waiting, newer []begunMove) (all []begunMove) {
	all = slices.Clone(waiting)
	for _, m := range newer {
		if i := slices.IndexFunc(all, func(w begunMove) bool { return w.key() == m.key() }); i >= 0 {
			all[i] = all[i].replacedBy(m)
		} else {
			all = append(all, m)
		}
	}
	return all
}

// replacedBy returns the newer move of the same connections, with what the earlier one alone knows: what it has done, and addresses that
// were lost, unless the host has them again.
func (m begunMove) replacedBy(newer begunMove) begunMove {
	newer.AtInit = newer.AtInit && m.AtInit
	newer.done.Connections += m.done.Connections
	newer.done.Sockets += m.done.Sockets
	newer.Lost = slices.Clone(newer.Lost)
	for _, a := range m.Lost {
		if !slices.Contains(newer.Lost, a) && !slices.Contains(newer.Own, a) {
			newer.Lost = append(newer.Lost, a)
		}
	}
	return newer
}

// moveQueue has the moves that wait for a goroutine, which takes them all together. Safe for concurrent use.
type moveQueue struct {
	ready chan struct{} // has an element while moves wait
	mu    sync.Mutex
	moves []begunMove
}

func newMoveQueue() *moveQueue { return &moveQueue{ready: make(chan struct{}, 1)} }

// add adds moves to those that wait.
func (q *moveQueue) add(moves []begunMove) {
	if len(moves) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.moves = mergeMoves(q.moves, moves)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take takes the moves that wait.
func (q *moveQueue) take() []begunMove {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.moves
	q.moves = nil
	return all
}

// empty reports whether none waits.
func (q *moveQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.moves) == 0
}
