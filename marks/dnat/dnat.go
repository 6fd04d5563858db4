package dnat

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/marks/foreign"
)

// Request is the first packet of a connection to an address of the host.
type Request struct {
	Proto    uint8      // IPPROTO_TCP, IPPROTO_UDP
	From     netip.Addr // the zero Addr: unknown
	To       netip.Addr
	Port     uint16 // the destination port
	Link     string // its ingress
	LinkID   int    // the index of Link; 0: unknown
	IsOfHost func(netip.Addr) bool
}

// Rules are the rules of all chains that translate destinations in PREROUTING.
type Rules struct {
	hooks []hook // in the order in which packets traverse them
}

// hook is a base chain of NAT at PREROUTING.
type hook struct {
	ipv4, ipv6 bool // the packets that traverse it
	priority   int32
	chain      string
	chains     map[string][]rule
	drops      bool // its policy
}

// rule is a rule of either syntax. Its result may have several outcomes, as not all properties of a request are known.
type rule interface {
	eval(w *walk) outcome
	// ports calls add for each destination port that the rule may compare: of a range, for the first one.
	ports(add func(uint16))
}

// outcome is a set of the outcomes that are possible.
type outcome uint8

const (
	taken   outcome = 1 << iota // no socket receives the request at its address and port
	kept                        // it is translated to an address of the host and the same port
	accepts                     // it leaves the base chain
	returns                     // it leaves the chain
	next                        // it reaches the next rule
)

// anything is the outcome of a rule that is not understood.
const anything = taken | accepts | next

// match is the result of a comparison.
type match uint8

const (
	no match = iota
	maybe
	yes
)

// matchOf returns yes or no.
func matchOf(is bool) match {
	if is {
		return yes
	}
	return no
}

// not returns the result of the inverted comparison.
func (m match) not() match { return yes - m }

// walk is a traversal of the chains of one base chain.
type walk struct {
	Request
	chains  map[string][]rule
	done    map[string]outcome // of the chains that were traversed
	targets *[]netip.Addr      // the other hosts that it may be sent to
}

// Read reads the rules of other programs in the sources, and in those tables of nftables that the sources do not print.
func Read(ctx context.Context, sources ...foreign.Source) (Rules, error) {
	var all Rules
	printed := map[nftTable]bool{}
	for _, s := range sources {
		if s.Absent() {
			continue
		}
		_, saved, err := s.Save(ctx)
		if err != nil {
			return all, err
		}
		hooks, tables := parseSave(s.Family(), saved)
		all.hooks = append(all.hooks, hooks...)
		for _, name := range tables {
			if s.Backend() == marks.NFT {
				printed[nftTable{s.Family(), name}] = true
			}
		}
	}
	hooks, err := readNFT(printed)
	all.hooks = append(all.hooks, hooks...)
	slices.SortStableFunc(all.hooks, func(a, b hook) int { return cmp.Compare(a.priority, b.priority) })
	return all, err
}

// TakesAway reports whether certainly no socket of the host receives the request: a rule sends it to another host or port, or
// drops it.
func (r Rules) TakesAway(q Request) bool {
	takesAway, _ := r.Follow(q)
	return takesAway
}

// Follow returns TakesAway, and the addresses of other hosts that the request may be sent to, as far as they are known: of a
// range, the first and the last.
func (r Rules) Follow(q Request) (takesAway bool, targets []netip.Addr) {
	for _, h := range r.hooks {
		if q.To.Is4() && !h.ipv4 || q.To.Is6() && !h.ipv6 {
			continue
		}
		w := walk{Request: q, chains: h.chains, done: map[string]outcome{}, targets: &targets}
		o := w.traverse(h.chain)
		if o&returns != 0 && h.drops {
			o = o&^returns | taken
		}
		switch {
		case o&kept != 0:
			return false, targets
		case o&(accepts|returns) == 0:
			return true, targets
		}
	}
	return false, targets
}

// Ports returns the destination ports that rules compare, in ascending order.
func (r Rules) Ports() (all []uint16) {
	found := map[uint16]bool{}
	for _, h := range r.hooks {
		for _, chain := range h.chains {
			for _, rule := range chain {
				rule.ports(func(port uint16) { found[port] = port != 0 })
			}
		}
	}
	delete(found, 0)
	return slices.Sorted(maps.Keys(found))
}

// traverse returns the possible outcomes of a chain. Returns stands for its end, too.
func (w *walk) traverse(chain string) (all outcome) {
	if o, known := w.done[chain]; known {
		return o
	}
	w.done[chain] = anything | kept // of a chain that leads to itself, which the kernel refuses
	defer func() { w.done[chain] = all }()
	for _, r := range w.chains[chain] {
		o := r.eval(w)
		all |= o &^ next
		if o&next == 0 {
			return all
		}
	}
	return all | returns
}

// jump returns the outcomes of a rule that calls the chain.
func (w *walk) jump(chain string) outcome {
	o := w.traverse(chain)
	if o&returns != 0 {
		o = o&^returns | next
	}
	return o
}

// translate returns the outcome of a translation to an address in the range, and a port in that range. The zero Addr is the
// address that was requested, port 0 the port.
func (w *walk) translate(first, last netip.Addr, low, high uint16) outcome {
	if !first.IsValid() {
		first, last = w.To, w.To
	}
	if low == 0 {
		low, high = w.Port, w.Port
	}
	ofHost := matchOf(w.IsOfHost(first))
	for _, a := range []netip.Addr{first, last} {
		if !w.IsOfHost(a) && !slices.Contains(*w.targets, a) {
			*w.targets = append(*w.targets, a)
		}
	}
	if first != last {
		ofHost = min(maybe, ofHost+matchOf(w.IsOfHost(last)))
	}
	samePort := matchOf(low <= w.Port && w.Port <= high)
	if low != high {
		samePort = min(samePort, maybe)
	}
	return [...]outcome{no: taken, maybe: taken | kept, yes: kept}[min(ofHost, samePort)]
}
