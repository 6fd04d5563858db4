package uplinks

import (
	"fmt"
	"net/netip"

	"replypath/marks"
)

// UDPAnswers is the configuration of programs in the kernel by which UDP servers on the wildcard address reply from the address
// that received the request.
type UDPAnswers struct {
	Entries uint32 // the number of clients and ports that are remembered
	Cgroup  string // folder of the control group whose sockets are helped; empty: the root
}

// DefaultUDPEntries is the number of clients and ports that are remembered unless the configuration has another one.
const DefaultUDPEntries = 65536

// UDPPrograms identifies the programs; the zero value stands for programs of other settings, or damaged ones.
type UDPPrograms struct {
	UDPAnswers
	Mask   marks.Mask
	OwnToo bool // connections from inside have marks of uplinks too
}

// WantedUDPPrograms returns the programs of the settings, nil if there are none.
func (s Settings) WantedUDPPrograms() *UDPPrograms {
	if s.UDP == nil || len(s.Uplinks) == 0 {
		return nil
	}
	return &UDPPrograms{UDPAnswers: *s.UDP, Mask: s.Mask, OwnToo: s.Outbound.Enabled()}
}

// addUDPAnswers adds the programs, and the uplinks' addresses, which they may choose. They belong to no scope: a change of an
// address makes the whole host be observed.
func addUDPAnswers(want State, s Settings, f Facts, _ Verdicts) {
	programs := s.WantedUDPPrograms()
	if programs == nil || f.Scopes != nil || f.UDPRefused != "" {
		return
	}
	want.UDPPrograms[*programs] = true
	for _, u := range s.Uplinks {
		l, present := f.LinkOf(u)
		for _, a := range l.sourceRuleAddrs() {
			if present && u.Manages(FamilyOf(a)) {
				want.UDPAddrs[a] = true
			}
		}
	}
}

// udpSteps returns the steps for the programs. An address that is gone is forbidden first of all; the programs come when the
// marks are there that they need, and go before those.
func udpSteps(want, have State) (forbid, attach, detach Plan) {
	programs, _ := delta(want.UDPPrograms, have.UDPPrograms, oneKey)
	if len(want.UDPPrograms) == 0 {
		if len(have.UDPPrograms) > 0 {
			detach = Plan{DetachUDP{}}
		}
		return nil, nil, detach
	}
	allowed, forbidden := delta(want.UDPAddrs, have.UDPAddrs, compareAddrs)
	for _, a := range forbidden {
		forbid = append(forbid, ForbidUDPAddr{Addr: a})
	}
	for _, p := range programs {
		attach = append(attach, AttachUDP{Programs: p, Addrs: sortedKeys(want.UDPAddrs, compareAddrs)})
	}
	if len(programs) > 0 {
		return forbid, attach, nil
	}
	for _, a := range allowed {
		attach = append(attach, AllowUDPAddr{Addr: a})
	}
	return forbid, attach, nil
}

func compareAddrs(a, b *netip.Addr) int { return a.Compare(*b) }

// AttachUDP attaches the programs, or replaces them in place, and lets them choose the addresses.
type AttachUDP struct {
	udpStep
	Programs UDPPrograms
	Addrs    []netip.Addr
}

// DetachUDP removes all programs.
type DetachUDP struct{ udpStep }

// AllowUDPAddr lets the programs choose the address.
type AllowUDPAddr struct {
	udpStep
	Addr netip.Addr
}

// ForbidUDPAddr forbids the programs to choose the address.
type ForbidUDPAddr struct {
	udpStep
	Addr netip.Addr
}

// String returns a comment: no command does this.
func (s AttachUDP) String() string {
	group := s.Programs.Cgroup
	if group == "" {
		group = "the root cgroup"
	}
	from := ""
	if len(s.Addrs) > 0 {
		from = ": servers on the wildcard address reply from " + joined(s.Addrs, ", ") + " where a request was sent there"
	}
	return fmt.Sprintf("# [udp]: attach BPF programs to %s%s", group, from)
}

// String returns a comment.
func (DetachUDP) String() string { return "# [udp]: detach the BPF programs" }

// String returns a comment.
func (s AllowUDPAddr) String() string {
	return fmt.Sprintf("# [udp]: servers on the wildcard address may reply from %s", s.Addr)
}

// String returns a comment.
func (s ForbidUDPAddr) String() string {
	return fmt.Sprintf("# [udp]: servers on the wildcard address no longer reply from %s", s.Addr)
}

// Removes reports false.
func (AttachUDP) Removes() bool { return false }

// Removes reports true.
func (DetachUDP) Removes() bool { return true }

// Removes reports false.
func (AllowUDPAddr) Removes() bool { return false }

// Removes reports false: nothing replaces the address, and nothing may wait for it.
func (ForbidUDPAddr) Removes() bool { return false }

// WriteTo attaches the programs.
func (s AttachUDP) WriteTo(w Writer) { w.AttachUDP(s) }

// WriteTo removes the programs.
func (s DetachUDP) WriteTo(w Writer) { w.DetachUDP() }

// WriteTo allows the address.
func (s AllowUDPAddr) WriteTo(w Writer) { w.AllowUDPAddr(s.Addr) }

// WriteTo forbids the address.
func (s ForbidUDPAddr) WriteTo(w Writer) { w.ForbidUDPAddr(s.Addr) }

// UDPHelped reports whether the programs let servers reply from the address.
func (f Facts) UDPHelped(s Settings, a netip.Addr) bool {
	want := NewState()
	addUDPAnswers(want, s.applied(f), f.WithScopes(nil), nil)
	return want.UDPAddrs[a]
}
