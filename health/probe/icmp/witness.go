package icmp

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/socket"
	"replypath/marks"
)

// witness hears every echo reply of a family that carries an identifier of ours, and tells by which link it came in.
type witness struct {
	ears  ears
	seed  maphash.Seed
	ended chan struct{} // closed when it hears no more

	mu      sync.Mutex
	ids     *ids
	waiting map[answer]*question
}

// answer is what tells the answer to one question from those to others that wait.
type answer struct {
	id   uint16
	from netip.Addr
}

func (a *Prober) witness(p health.Path) (*witness, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.witnesses[p.Family]; ok && w.alive() {
		return w, nil
	}
	w := &witness{seed: maphash.MakeSeed(), ended: make(chan struct{}), ids: newIDs(), waiting: map[answer]*question{}}
	var err error
	if w.ears, err = listen(p.Family, w.ids.prefix); err != nil {
		return nil, fmt.Errorf("hear %s echo replies: %w", p.Family, socket.Explain(p, err))
	}
	a.witnesses[p.Family] = w
	go w.run()
	return w, nil
}

func (w *witness) alive() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

func (w *witness) close() {
	w.ears.Close()
	<-w.ended
}

// expect is a question to the target through the path, whose answer is listened for until it is forgotten.
func (w *witness) expect(p health.Path, to netip.Addr) (*question, error) {
	// Another mark is another identifier: conntrack would give the question the mark of those before it.
	wanted := maphash.Comparable(w.seed, struct {
		mark       marks.Mark
		to, source netip.Addr
	}{p.Mark, to, p.Source})
	w.mu.Lock()
	defer w.mu.Unlock()
	id, err := w.ids.take(wanted)
	if err != nil {
		return nil, err
	}
	q := newQuestion(id, to)
	w.waiting[q.answer()] = q
	return q, nil
}

func (w *witness) forget(q *question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, q.answer())
	w.ids.free(q.id)
}

func (w *witness) run() {
	defer close(w.ended)
	buffer := make([]byte, 2048)
	for {
		n, index, from, err := w.ears.hear(buffer)
		if err != nil {
			w.ears.Close()
			return
		}
		w.tell(buffer[:n], arrival{time.Now(), index}, from)
	}
}

func (w *witness) tell(reply []byte, came arrival, from net.Addr) {
	sender, ok := from.(*net.IPAddr)
	if !ok || len(reply) < headerSize {
		return
	}
	addr, _ := netip.AddrFromSlice(sender.IP)
	w.mu.Lock()
	q, waits := w.waiting[answer{binary.BigEndian.Uint16(reply[4:]), addr.Unmap()}]
	w.mu.Unlock()
	if waits {
		q.hear(reply, came)
	}
}
