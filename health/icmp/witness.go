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
	"replypath/health/socket"
	"replypath/marks"
)

// witness hears every echo reply of a family that carries an identifier of ours, and tells by which link it came in.
type witness struct {
	ears  ears
	seed  maphash.Seed
	ended chan struct{} // closed when it hears no more

	mu      sync.Mutex
	ids     *ids
	waiting map[answer]*expected
}

// answer is what tells the answer to one question from all others.
type answer struct {
	id   uint16
	size int // of the data
	from netip.Addr
}

// expected is an answer that is waited for.
type expected struct {
	answer
	heard chan struct{} // closed when it has come
	came  arrival       // valid from then on
}

// arrival is how the answer came, if it has.
func (e *expected) arrival() (came arrival, heard bool) {
	select {
	case <-e.heard:
		return e.came, true
	default:
		return arrival{}, false
	}
}

// arrival is how an answer came.
type arrival struct {
	at    time.Time
	index int // of the link
}

func (a *Asker) witness(p health.Path) (*witness, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.witnesses[p.Family]; ok && w.alive() {
		return w, nil
	}
	w := &witness{seed: maphash.MakeSeed(), ended: make(chan struct{}), ids: newIDs(), waiting: map[answer]*expected{}}
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

// expect makes ready for the answer to a question that is put to the target through the path.
func (w *witness) expect(p health.Path, to netip.Addr) (*expected, error) {
	// Another mark is another identifier: conntrack would give the question the mark of those before it.
	wanted := maphash.Comparable(w.seed, struct {
		mark       marks.Mark
		to, source netip.Addr
	}{p.Mark, to, p.Source})
	w.mu.Lock()
	defer w.mu.Unlock()
	id, size, err := w.ids.take(wanted)
	if err != nil {
		return nil, err
	}
	e := &expected{answer{id, size, to.WithZone("")}, make(chan struct{}), arrival{}}
	w.waiting[e.answer] = e
	return e, nil
}

func (w *witness) forget(e *expected) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, e.answer)
	w.ids.free(e.id)
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

// echoHeader is the length of what comes before an echo's data.
const echoHeader = 8

func (w *witness) tell(message []byte, came arrival, from net.Addr) {
	sender, ok := from.(*net.IPAddr)
	if !ok || len(message) < echoHeader {
		return
	}
	addr, _ := netip.AddrFromSlice(sender.IP)
	said := answer{binary.BigEndian.Uint16(message[4:]), len(message) - echoHeader, addr.Unmap()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.waiting[said]; ok {
		delete(w.waiting, said) // a second copy counts for nothing
		e.came = came
		close(e.heard)
	}
}

// otherLink is the name of the link, when it is not the path's. A path's link that was made again is still its link.
func otherLink(p health.Path, index int) (name string, other bool) {
	if index == p.Index {
		return "", false
	}
	link, err := net.InterfaceByIndex(index)
	if err != nil {
		return fmt.Sprintf("a link that is gone (index %d)", index), true
	}
	return link.Name, link.Name != p.Link
}
