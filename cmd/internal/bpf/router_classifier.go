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

// RouterClassifiers reads and writes the classifiers of the links in the network namespace of this process. Each is a program at the
// ingress of the link. Not safe for concurrent use.
type RouterClassifiers struct {
	links linkPrograms
	tags  map[string]string // by what the program depends on
}

// OpenRouterClassifiers finds the place of the pins. Without one the error is ErrNoPins.
func OpenRouterClassifiers() (*RouterClassifiers, error) {
	links, err := openLinkPrograms("ingress", linkPrograms{attach: ebpf.AttachTCXIngress, kind: "the classifier at ingress", data: "routers_"})
	return &RouterClassifiers{links, map[string]string{}}, err
}

// Read returns the classifiers by the index of the link. One that does not work as it should has no routers.
func (r *RouterClassifiers) Read() (map[int]RouterClassifier, error) {
	indices, err := r.links.indices()
	if err != nil || indices == nil {
		return nil, err
	}
	all := map[int]RouterClassifier{}
	for index := range indices {
		if c, err := r.read(index); err == nil {
			all[index] = c
		} else {
			all[index] = RouterClassifier{}
		}
	}
	return all, nil
}

func (r *RouterClassifiers) read(index int) (c RouterClassifier, err error) {
	running, err := r.links.read(index, func(m *ebpf.Map) (err error) {
		c, err = readRouters(m)
		return err
	})
	if err != nil {
		return c, err
	}
	if tag, err := r.tag(c); err != nil || tag != running {
		return c, errDamaged
	}
	return c, nil
}

// tag returns the tag of the classifier's program. Only the kernel knows how it computes it.
func (r *RouterClassifiers) tag(c RouterClassifier) (string, error) {
	c.Known = nil
	key := fmt.Sprint(c)
	if tag := r.tags[key]; tag != "" {
		return tag, nil
	}
	program, m, err := loadClassifier(c)
	if err != nil {
		return "", err
	}
	defer m.Close()
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return "", err
	}
	r.tags[key] = info.Tag
	return info.Tag, nil
}

// Set gives the link with the index this classifier, in place of one that it has: no packet meets none. After an error the link may
// have none, or the one before, which Read then calls damaged.
func (r *RouterClassifiers) Set(index int, c RouterClassifier) error {
	program, routers, err := loadClassifier(c.sorted())
	if err != nil {
		return err
	}
	defer routers.Close()
	defer program.Close()
	return r.links.set(index, program, routers)
}

// Delete takes the classifier of the link with the index away, which may be gone.
func (r *RouterClassifiers) Delete(index int) error { return r.links.delete(index) }

// Check reports what would fail, as far as it does not depend on a link. It attaches nothing.
func (r *RouterClassifiers) Check() error {
	program, m, err := loadClassifier(RouterClassifier{Mask: 1, IPv4: true, IPv6: true, Routers: []Router{
		{1, 1, netip.IPv4Unspecified()}, {1, 1, netip.IPv6Unspecified()}}})
	if err != nil {
		return err
	}
	defer m.Close()
	defer program.Close()
	return r.links.check(program)
}
