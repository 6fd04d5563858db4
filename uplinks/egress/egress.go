// Package egress models what the kernel does with a packet between its route and its link: IPsec policies (ip-xfrm(8)),
// neighbour entries (ip-neighbour(8)) and traffic control (tc(8)). It is pure: package rtnl reads the State.
package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// State is what the kernel consults for outgoing packets.
type State struct {
	Links      map[int]Link // by index
	Neighbours []Neighbour
	Policies   []Policy // in the order of the kernel
	Qdiscs     []Qdisc
	Filters    []Filter // of each qdisc in the order of evaluation

	ports map[int][]int // of each bridge and bond, ascending; nil: they are searched among the links
}

// IndexPorts makes Below find the ports of bridges and bonds without a search among all links, which must not change any more.
func (s *State) IndexPorts() {
	s.ports = map[int][]int{}
	for i, l := range s.Links {
		if l.Master != 0 {
			s.ports[l.Master] = append(s.ports[l.Master], i)
		}
	}
	for _, ports := range s.ports {
		slices.Sort(ports)
	}
}

// Link has the properties of a link that decide how packets leave by it.
type Link struct {
	Index     int
	Name      string
	Kind      string // IFLA_INFO_KIND; empty for hardware
	Ethernet  bool   // it has Ethernet headers
	NoARP     bool   // IFF_NOARP: no neighbour is resolved
	XDP       bool   // an XDP program takes received frames first
	Lower     int    // the index of the link below, of a VLAN and the like; 0: none in this namespace
	Master    int    // the index of the bridge or bond that it is a port of; 0: none
	Namespace bool   // Lower is the index of a link in another network namespace
}

// Below returns the links through which the packets of a link leave the host: the link itself, what it is stacked on, and the
// ports of a bridge or bond.
func (s State) Below(index int) []Link {
	var all []Link
	var visit func(int)
	visit = func(index int) {
		l, known := s.Links[index]
		if !known || slices.ContainsFunc(all, func(o Link) bool { return o.Index == index }) {
			return
		}
		all = append(all, l)
		if l.Lower != 0 && !l.Namespace && l.Kind != "veth" {
			visit(l.Lower)
		}
		for _, port := range s.portsOf(index) {
			visit(port)
		}
	}
	visit(index)
	return all
}

// portsOf returns the indexes of the ports of a bridge or bond, ascending. A VRF is a master too, but not below its links.
func (s State) portsOf(index int) (ports []int) {
	if kind := s.Links[index].Kind; kind == "vrf" {
		return nil
	}
	if s.ports != nil {
		return s.ports[index]
	}
	for i, l := range s.Links {
		if l.Master == index {
			ports = append(ports, i)
		}
	}
	slices.Sort(ports)
	return ports
}

// LinkName returns the name of the link with that index.
func (s State) LinkName(index int) string {
	if l, known := s.Links[index]; known {
		return l.Name
	}
	return fmt.Sprintf("interface %d", index)
}

// Packet has the fields of an outgoing packet that decide what happens to it.
type Packet struct {
	Proto    uint8          // IPPROTO_*
	From, To netip.AddrPort // the ports are those of TCP and UDP
	TOS      uint8
	Mark     uint32
	Link     int // the index of the link that it leaves by
}

// hasPorts reports whether the protocol of the packet has ports.
func (p Packet) hasPorts() bool { return p.Proto == protoTCP || p.Proto == protoUDP }

// Protocols of packets (IANA).
const (
	protoTCP = 6
	protoUDP = 17
)
