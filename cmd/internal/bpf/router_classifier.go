package bpf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// RouterClassifier says which of the routers on a link has sent a frame, where the firewall may not know it yet: packets get the mark
// of the router whose neighbour entry has the sender of their frame.
type RouterClassifier struct {
	Mask       uint32 // of the marks
	IPv4, IPv6 bool   // the families of the packets that get marks
	Routers    []Router
	Known      []KnownRouter
}

// Router is the address of a router. Table is the routing table by which the kernel finds its neighbour entry.
type Router struct {
	Mark, Table uint32
	Addr        netip.Addr
}

// KnownRouter is a hardware address that the firewall knows. As long as the entry of a router with the mark has it, there is nothing to
// do; with the mark 0 there never is.
type KnownRouter struct {
	MAC  [macSize]byte
	Mark uint32
}

const macSize = 6

// RouterClassifiers are the classifiers of the links, programs at their ingress.
type RouterClassifiers = LinkPrograms[RouterClassifier]

// OpenRouterClassifiers finds the place of the pins. Without one the error is ErrNoPins.
func OpenRouterClassifiers() (*RouterClassifiers, error) {
	return openLinkPrograms(programKind[RouterClassifier]{
		folder: "ingress", attach: ebpf.AttachTCXIngress, name: "the classifier at ingress", data: "routers_", load: loadClassifier, readMap: readRouters,
		code: func(c RouterClassifier) string {
			c.Known = nil
			return fmt.Sprint(c)
		},
		example: RouterClassifier{Mask: 1, IPv4: true, IPv6: true, Routers: []Router{{1, 1, netip.IPv4Unspecified()}, {1, 1, netip.IPv6Unspecified()}}},
	})
}

// sorted returns the classifier with its parts in order.
func (c RouterClassifier) sorted() RouterClassifier {
	c.Routers, c.Known = slices.Clone(c.Routers), slices.Clone(c.Known)
	slices.SortFunc(c.Routers, func(a, b Router) int { return cmp.Or(cmp.Compare(a.Table, b.Table), a.Addr.Compare(b.Addr)) })
	slices.SortFunc(c.Known, func(a, b KnownRouter) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	return c
}

// routersMap is the name of the map, by which the program refers to it. It has the known hardware addresses, which the program looks up,
// and the routers, which are constants of the program.
const routersMap = "routers"

// routerKey is a key of the map: a router, or with the table 0 a hardware address.
type routerKey struct {
	Table uint32
	Addr  [addrSize]byte
}

// macAt is the place of a hardware address in a key: its last four bytes can be read at once, as in struct bpf_fib_lookup.
const macAt = 2

type routerValue struct {
	Mark, Mask, Families uint32
}

// Bits of routerValue.Families.
const marksIPv4, marksIPv6 = 1, 2

// entries returns what the map has.
func (c RouterClassifier) entries() map[routerKey]routerValue {
	v := routerValue{Mask: c.Mask}
	if c.IPv4 {
		v.Families |= marksIPv4
	}
	if c.IPv6 {
		v.Families |= marksIPv6
	}
	all := map[routerKey]routerValue{}
	for _, r := range c.Routers {
		v.Mark = r.Mark
		all[routerKey{r.Table, r.Addr.As16()}] = v
	}
	for _, known := range c.Known {
		v.Mark = known.Mark
		var key routerKey
		copy(key.Addr[macAt:], known.MAC[:])
		all[key] = v
	}
	return all
}

// readRouters returns the classifier that the map makes.
func readRouters(m *ebpf.Map) (c RouterClassifier, err error) {
	var k routerKey
	var v routerValue
	entries := m.Iterate()
	for entries.Next(&k, &v) {
		c.Mask, c.IPv4, c.IPv6 = v.Mask, v.Families&marksIPv4 != 0, v.Families&marksIPv6 != 0
		if k.Table == 0 {
			c.Known = append(c.Known, KnownRouter{[macSize]byte(k.Addr[macAt:]), v.Mark})
		} else {
			c.Routers = append(c.Routers, Router{v.Mark, k.Table, netip.AddrFrom16(k.Addr).Unmap()})
		}
	}
	return c.sorted(), entries.Err()
}

// loadClassifier loads the program with its map.
func loadClassifier(c RouterClassifier) (*ebpf.Program, *ebpf.Map, error) {
	c = c.sorted() // the order is that of the instructions
	entries := c.entries()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: routersMap, Type: ebpf.Hash, KeySize: uint32(binary.Size(routerKey{})),
		ValueSize: uint32(binary.Size(routerValue{})), MaxEntries: uint32(max(1, len(entries)))})
	if err != nil {
		return nil, nil, fmt.Errorf("make the map of a classifier at ingress: %w", err)
	}
	for k, v := range entries {
		if err := m.Put(k, v); err != nil {
			m.Close()
			return nil, nil, fmt.Errorf("write to the map of a classifier at ingress: %w", err)
		}
	}
	program, err := loadWith(classifierSpec(c), routersMap, m)
	if err != nil {
		m.Close()
		return nil, nil, fmt.Errorf("load the program of a classifier at ingress: %w", err)
	}
	return program, m, nil
}
