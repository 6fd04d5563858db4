package world

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// recorderLimit is how many packets a recorder keeps.
const recorderLimit = 1 << 16

// Recorder keeps what crosses a link.
type Recorder struct {
	link *Link
	tap  *socket
	keep func(Packet) bool // nil: everything

	mu      sync.Mutex
	packets []Packet
	lost    int
	markers map[uint64]bool
	changed chan struct{} // closed and made anew with every packet
}

// Record starts to record on a link. Everything that crosses it after Record has returned is recorded, until the
// world ends. With a predicate only matching packets are kept: use one where there is load.
func (l *Link) Record(keep ...func(Packet) bool) *Recorder {
	w := l.Host.world
	w.tb.Helper()
	tap, err := l.tap(headerFilter)
	l.Host.must(err, "record %s", l.Name)
	r := &Recorder{link: l, tap: tap, markers: map[uint64]bool{}, changed: make(chan struct{})}
	if len(keep) > 0 {
		r.keep = keep[0]
	}
	w.mu.Lock()
	w.recorders = append(w.recorders, r)
	w.mu.Unlock()
	w.start(r.run)
	w.closeAtEnd(tap)
	return r
}

// Packets returns the packets so far, in order.
func (r *Recorder) Packets() []Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.packets)
}

// Count returns the number of packets so far that match.
func (r *Recorder) Count(match func(Packet) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.packets {
		if match(p) {
			n++
		}
	}
	return n
}

// awaitTime bounds the wait for what must happen at last, where the caller sets no bound: a test that fails names what is missing.
const awaitTime = 2 * time.Minute

// bounded returns a context with a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, awaitTime)
}

// Wait returns the first packet that matches, as soon as there is one. Without a deadline of the context it waits for two minutes.
func (r *Recorder) Wait(ctx context.Context, match func(Packet) bool) (Packet, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for checked := 0; ; {
		r.mu.Lock()
		packets, changed := r.packets[min(checked, len(r.packets)):], r.changed
		checked += len(packets)
		r.mu.Unlock()
		if i := slices.IndexFunc(packets, match); i >= 0 {
			return packets[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Packet{}, fmt.Errorf("%s %s: no such packet among %d: %w", r.link.Host.Name, r.link.Name, checked, ctx.Err())
		}
	}
}

// Reset forgets the packets so far.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets = nil
}

// Lost returns the number of packets that should have been kept and were not, for lack of room.
func (r *Recorder) Lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += r.tap.lost()
	return r.lost
}

func (r *Recorder) run() {
	buffer := make([]byte, snapLength)
	for {
		m, err := r.tap.receive(buffer, nil)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue // the link went down: it may come back
		}
		dir := In
		if from, ok := m.from.(*unix.SockaddrLinklayer); ok && from.Pkttype == unix.PACKET_OUTGOING {
			dir = Out
		}
		r.add(m.data, decode(m.data, dir))
	}
}

func (r *Recorder) add(frame []byte, p Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case p.EtherType == markerType && len(frame) >= markerLength:
		r.markers[binary.BigEndian.Uint64(frame[ethernetHeader:])] = true
	case p.EtherType == markerType, r.keep != nil && !r.keep(p):
		return
	case len(r.packets) >= recorderLimit:
		r.lost++
		return
	default:
		r.packets = append(r.packets, p)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}
