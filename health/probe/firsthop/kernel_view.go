package firsthop

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/uplinks/egress"
)

// Table is the kernel's neighbour table. Safe for concurrent use.
type Table interface {
	// Neighbours returns the entries for the addresses, in their order.
	Neighbours(of []egress.LinkAddr) []egress.NeighbourLookup
	// Resolve makes the kernel resolve the address, as for a packet of its own.
	Resolve(link int, a netip.Addr) error
}

// kernelView compares the gateways that replied with the kernel's neighbour table. A probe steps over the table: its frames have
// their destination in them. Every other packet is sent to the address in the table, or not at all.
type kernelView struct {
	table Table

	mu      sync.Mutex // not held while table is read
	paths   map[health.Key]viewOfPath
	queue   []comparison // that are due
	spare   []comparison // an empty queue
	holds   int          // of gather
	working bool         // a goroutine makes those of the queue
}

// comparison is one that is due.
type comparison struct {
	ending
	batch *batch // that gets the result
	last  viewOfPath
}

// viewOfPath is the last comparison for a path.
type viewOfPath struct {
	running bool      // a comparison is in progress
	good    time.Time // when the table was right
	failed  time.Time // since when the kernel cannot resolve the gateway; zero: it can
	times   int       // comparisons in a row in which it could not
}

const (
	// viewInterval is the time between two comparisons while the table is right. Each begins at a multiple of it, with the first reply of
	// each gateway: so gateways that are asked together are compared together, and the table is read at few ticks.
	viewInterval = 3 * time.Second
	// failedPatience is longer than the kernel tries to resolve an address (neigh.*.ucast_solicit, mcast_solicit and
	// retrans_time): an entry that failed before may be tried again with the next packet.
	failedPatience = 4 * time.Second
	// failedTimes keeps two comparisons that are far apart from counting as a lasting failure.
	failedTimes = 3
)

func newKernelView(table Table) *kernelView {
	return &kernelView{table: table, paths: map[health.Key]viewOfPath{}}
}

// check returns an error when packets to the gateway, which has just replied from the hardware address, do not reach it. It asks
// the kernel to resolve a gateway that it does not know.
func (k *kernelView) check(p health.Path, mac string) error {
	one := []comparison{{ending: ending{path: &p, reply: reply{mac: mac}}}}
	if len(mac) == hardwareAddrLen {
		k.compareAll(one)
	}
	return one[0].err
}

// gather makes the comparisons that become due until release wait for it: the table is read once for all of them.
func (k *kernelView) gather() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds++
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.holds--
		k.start()
	}
}

// start makes a goroutine compare what is due, unless one does. Its caller holds mu.
func (k *kernelView) start() {
	if len(k.queue) > 0 && k.holds == 0 && !k.working {
		k.working = true
		go k.work()
	}
}

// compareDue returns the requests that need no comparison now. Those of the others are made by one goroutine, as the kernel may keep a
// reader of its table waiting: it ends them as requests of the batch.
func (k *kernelView) compareDue(all []ending, b *batch) (left []ending) {
	now := time.Now()
	left = all[:0]
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range all {
		if e.err != nil || len(e.mac) != hardwareAddrLen || !k.paths[e.path.Key].isDue(now) {
			left = append(left, e)
			continue
		}
		k.queue = append(k.queue, comparison{ending: e, batch: b})
	}
	k.start()
	return left
}

// work makes the comparisons of the queue until there is none.
func (k *kernelView) work() {
	var ended endings
	for all := k.takeQueue(nil); len(all) > 0; all = k.takeQueue(all) {
		k.compareAll(all)
		for _, c := range all {
			ended.append(c.batch, c.ending)
		}
		ended.flush()
	}
}

// takeQueue takes the comparisons of the queue, after those that are done. Without any the goroutine ends.
func (k *kernelView) takeQueue(done []comparison) (all []comparison) {
	clear(done)
	k.mu.Lock()
	defer k.mu.Unlock()
	if done != nil {
		k.spare = done[:0]
	}
	all, k.queue = k.queue, k.spare
	k.spare, k.working = nil, len(all) > 0
	return all
}

// isDue reports whether another comparison is due.
func (v viewOfPath) isDue(now time.Time) bool {
	return !v.running && v.good.Before(health.LastTick(now, viewInterval))
}

// compareAll makes those of the comparisons that are due, and sets their errors. It reads the table once.
func (k *kernelView) compareAll(all []comparison) {
	now := time.Now()
	due := k.begin(all, now)
	if len(due) == 0 {
		return
	}
	addrs := make([]egress.LinkAddr, len(due))
	for i, c := range due {
		addrs[i] = GatewayAddr(c.path)
	}
	found := k.table.Neighbours(addrs)
	next := make([]viewOfPath, len(due))
	for i, c := range due {
		next[i], c.err = k.compare(*c.path, c.mac, found[i], c.last, now)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, c := range due {
		k.paths[c.path.Key] = next[i]
	}
}

// begin returns the comparisons that are due. It records that they are in progress.
func (k *kernelView) begin(all []comparison, now time.Time) (due []*comparison) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range all {
		c := &all[i]
		if c.last = k.paths[c.path.Key]; !c.last.isDue(now) {
			continue
		}
		running := c.last
		running.running = true
		k.paths[c.path.Key] = running
		due = append(due, c)
	}
	return due
}

// compare makes one comparison.
func (k *kernelView) compare(p health.Path, mac string, n egress.NeighbourLookup, last viewOfPath, now time.Time) (next viewOfPath, err error) {
	if n.Err != nil {
		return last, nil // an old kernel, or a link that has just gone: the probe itself was answered
	}
	next = viewOfPath{good: now}
	switch {
	case !n.Found || n.State&(egress.Failed|egress.Incomplete) != 0 || n.State == 0:
		err = k.unresolved(p, n, last, &next, now)
	case n.State&(egress.Permanent|egress.NoARP) != 0 && n.MAC != mac:
		next.good = time.Time{}
		err = contradiction(p, n.Neighbour, mac)
	}
	return next, err
}

// unresolved makes the kernel resolve the gateway, and returns an error when it could not for a while.
func (k *kernelView) unresolved(p health.Path, n egress.NeighbourLookup, last viewOfPath, next *viewOfPath, now time.Time) error {
	next.good = time.Time{}
	next.failed, next.times = last.failed, last.times+1
	if next.failed.IsZero() {
		next.failed = now
	}
	if !n.Found || n.State&egress.Incomplete == 0 {
		if k.table.Resolve(p.Index, p.Gateway.WithZone("")) != nil {
			next.failed, next.times = time.Time{}, 0 // without the privilege nothing is known
			return nil
		}
	}
	if now.Sub(next.failed) < failedPatience || next.times < failedTimes {
		return nil
	}
	return fmt.Errorf("probe the gateway %s on %s: it replies to the probe, but the kernel cannot resolve it (its neighbour entry is not valid), so no packet is sent to it: look for rules that drop ARP or neighbour discovery (arptables -S, nft list ruleset arp)", p.Gateway, p.Link)
}

// contradiction describes an entry that no reply changes, and that is not what the gateway replied.
func contradiction(p health.Path, n egress.Neighbour, mac string) error {
	if n.State&egress.NoARP != 0 {
		return fmt.Errorf("probe the gateway %s on %s: it replies from %s, but ARP is off, so all packets are sent to %s: ip link set dev %s arp on", p.Gateway, p.Link, egress.MACText(mac), egress.MACText(n.MAC), p.Link)
	}
	return fmt.Errorf("probe the gateway %s on %s: it replies from %s, but its permanent neighbour entry has %s, where all packets are sent: ip neigh del %s dev %s", p.Gateway, p.Link, egress.MACText(mac), egress.MACText(n.MAC), p.Gateway.WithZone(""), p.Link)
}
