package icmp

import (
	"encoding/binary"
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// ingressObserver receives the echo replies of a family, and the interface that each arrived on.
type ingressObserver struct {
	socket rawSocket
	seed   maphash.Seed
	done   chan struct{} // closed when it no longer receives

	mu          sync.Mutex
	ids         *idAllocator
	outstanding map[replyKey]*request
}

// replyKey identifies the outstanding request that an echo reply belongs to.
type replyKey struct {
	id   uint16
	from netip.Addr
}

func newIngressObserver(f uplinks.Family) (*ingressObserver, error) {
	o := &ingressObserver{seed: maphash.MakeSeed(), done: make(chan struct{}), ids: newIDAllocator(), outstanding: map[replyKey]*request{}}
	var err error
	if o.socket, err = openRawSocket(f, o.ids.prefix); err != nil {
		return nil, err
	}
	go o.run()
	return o, nil
}

func (o *ingressObserver) running() bool {
	select {
	case <-o.done:
		return false
	default:
		return true
	}
}

func (o *ingressObserver) close() {
	o.socket.Close()
	<-o.done
}

// register returns a request to the destination through the path. Its reply is accepted until unregister is called.
func (o *ingressObserver) register(p health.Path, dst netip.Addr) (*request, error) {
	// The mark is part of the hash: conntrack would restore the mark of an earlier request with the same identifier.
	preferred := maphash.Comparable(o.seed, struct {
		mark        marks.Mark
		dst, source netip.Addr
	}{p.Mark, dst, p.Source})
	o.mu.Lock()
	defer o.mu.Unlock()
	id, err := o.ids.allocate(preferred)
	if err != nil {
		return nil, err
	}
	r := newRequest(id, dst)
	o.outstanding[r.key()] = r
	return r, nil
}

func (o *ingressObserver) unregister(r *request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.outstanding, r.key())
	o.ids.release(r.id)
}

func (o *ingressObserver) run() {
	defer close(o.done)
	buffer := make([]byte, 2048)
	for {
		n, ifindex, from, err := o.socket.receive(buffer)
		if err != nil {
			o.socket.Close()
			return
		}
		o.dispatch(buffer[:n], arrival{time.Now(), ifindex}, from)
	}
}

// dispatch hands an echo reply to the request that it belongs to.
func (o *ingressObserver) dispatch(echo []byte, at arrival, from net.Addr) {
	ip, ok := from.(*net.IPAddr)
	if !ok || len(echo) < headerLen {
		return
	}
	addr, _ := netip.AddrFromSlice(ip.IP)
	o.mu.Lock()
	r, ok := o.outstanding[replyKey{binary.BigEndian.Uint16(echo[4:]), addr.Unmap()}]
	o.mu.Unlock()
	if ok {
		r.accept(echo, at)
	}
}
