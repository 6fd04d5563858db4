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
	// Neighbour returns the entry for the address on the link with that index; found is false when there is none.
	Neighbour(link int, a netip.Addr) (n egress.Neighbour, found bool, err error)
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
	next    int          // in the queue
	working bool         // a goroutine makes those of the queue
}

// comparison is one that is due.
type comparison struct {
	ending
	batch *batch // that gets the result
}

// viewOfPath is the last comparison for a path.
type viewOfPath struct {
	running bool      // a comparison is in progress
	good    time.Time // when the table was right
	failed  time.Time // since when the kernel cannot resolve the gateway; zero: it can
	times   int       // comparisons in a row in which it could not
}

const (
	// viewInterval is the time between two comparisons while the table is right.
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
	if len(mac) != hardwareAddrLen {
		return nil
	}
	now := time.Now()
	last, due := k.begin(p.Key, now)
	if !due {
		return nil
	}
	return k.compareSince(p, mac, last, now)
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
		k.queue = append(k.queue, comparison{e, b})
	}
	if len(k.queue) > 0 && !k.working {
		k.working = true
		go k.work()
	}
	return left
}

// reportDelay is the longest time that a comparison that is made waits for the next ones, to be reported with them.
const reportDelay = 5 * time.Millisecond

// work makes the comparisons of the queue until there is none.
func (k *kernelView) work() {
	var ended endings
	reported := time.Now()
	for c, ok := k.takeComparison(); ok; c, ok = k.takeComparison() {
		c.err = k.check(*c.path, c.mac)
		ended.append(c.batch, c.ending)
		if time.Since(reported) > reportDelay {
			ended.flush()
			reported = time.Now()
		}
	}
	ended.flush()
}

// takeComparison removes and returns the first comparison of the queue. Without one the goroutine ends.
func (k *kernelView) takeComparison() (c comparison, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == len(k.queue) {
		clear(k.queue)
		k.queue, k.next, k.working = k.queue[:0], 0, false
		return c, false
	}
	k.next++
	return k.queue[k.next-1], true
}

// isDue reports whether another comparison is due.
func (v viewOfPath) isDue(now time.Time) bool {
	return !v.running && now.Sub(v.good) >= viewInterval
}

// compareSince makes the comparison that has begun, and records it.
func (k *kernelView) compareSince(p health.Path, mac string, last viewOfPath, now time.Time) error {
	next, err := k.compare(p, mac, last, now)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paths[p.Key] = next
	return err
}

// begin returns the last comparison for the path, and whether another is due. It records that one is in progress.
func (k *kernelView) begin(path health.Key, now time.Time) (last viewOfPath, due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last = k.paths[path]
	if !last.isDue(now) {
		return last, false
	}
	running := last
	running.running = true
	k.paths[path] = running
	return last, true
}

// compare makes one comparison.
func (k *kernelView) compare(p health.Path, mac string, last viewOfPath, now time.Time) (next viewOfPath, err error) {
	n, found, err := k.table.Neighbour(p.Index, p.Gateway.WithZone(""))
	if err != nil {
		return last, nil // an old kernel, or a link that has just gone: the probe itself was answered
	}
	next = viewOfPath{good: now}
	switch {
	case !found || n.State&(egress.Failed|egress.Incomplete) != 0 || n.State == 0:
		err = k.unresolved(p, n, found, last, &next, now)
	case n.State&(egress.Permanent|egress.NoARP) != 0 && n.MAC != mac:
		next.good = time.Time{}
		err = contradiction(p, n, mac)
	}
	return next, err
}

// unresolved makes the kernel resolve the gateway, and returns an error when it could not for a while.
func (k *kernelView) unresolved(p health.Path, n egress.Neighbour, found bool, last viewOfPath, next *viewOfPath, now time.Time) error {
	next.good = time.Time{}
	next.failed, next.times = last.failed, last.times+1
	if next.failed.IsZero() {
		next.failed = now
	}
	if !found || n.State&egress.Incomplete == 0 {
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
