package rtnl

import (
	"context"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Nexthop objects (linux/nexthop.h). The library knows none.
const (
	newNexthop = 104 // RTM_NEWNEXTHOP
	delNexthop = 105 // RTM_DELNEXTHOP
	getNexthop = 106 // RTM_GETNEXTHOP
	nhaID      = 1
	nhaGroup   = 2
	nhaOif     = 5
	nhaGateway = 6
)

// nexthopHeader is a struct nhmsg for all objects.
type nexthopHeader struct{}

func (nexthopHeader) Len() int          { return 8 }
func (nexthopHeader) Serialize() []byte { return make([]byte, 8) }

// objects are the numbers of those by which routes lead that say something of a link, and of those in them. It is for
// several goroutines at once.
type objects struct{ sync.Map }

// note notes the objects of a route, given all objects where the kernel tells of routes only the number: then it does not
// tell either that a route's object has another in it now.
func (o *objects) note(r *listed, all map[uint32]nexthop) {
	if r.nexthop == 0 || !r.tells() {
		return
	}
	o.Store(r.nexthop, true)
	for _, id := range all[r.nexthop].order {
		o.Store(id, true)
	}
}

// used reports whether it is one of them. One that goes is one no more: whatever comes to have its number is another.
func (o *objects) used(id uint32, goes bool) (used bool) {
	if goes {
		_, used = o.LoadAndDelete(id)
	} else {
		_, used = o.Load(id)
	}
	return used
}

// objectOf is the number of the object that a message is about; 0: none.
func objectOf(data []byte) (id uint32) {
	for kind, v := range attributes(data[min(nexthopHeader{}.Len(), len(data)):]) {
		if kind == nhaID {
			id = v.word()
		}
	}
	return id
}

// nexthop is an object: a hop, or a group of others.
type nexthop struct {
	hop   hop
	group map[uint32]int // weights by number
	order []uint32
}

// fillHops gives routes by nexthop objects their hops where the kernel tells only the number (the sysctl
// nexthop_compat_mode is 0), and the objects, if it had to look at them.
func fillHops(ctx context.Context, routes []listed) (all map[uint32]nexthop, err error) {
	for i := range routes {
		r := &routes[i]
		if !r.bare() {
			continue
		}
		if all == nil {
			if all, err = nexthops(ctx); err != nil {
				return nil, err
			}
		}
		r.more = hopsOf(all, r.nexthop)
	}
	return all, nil
}

func hopsOf(objects map[uint32]nexthop, id uint32) (hops []hop) {
	object := objects[id]
	if object.group == nil {
		return []hop{object.hop}
	}
	for _, member := range object.order {
		h := objects[member].hop
		h.weight = object.group[member]
		hops = append(hops, h)
	}
	return hops
}

func nexthops(ctx context.Context) (all map[uint32]nexthop, err error) {
	err = dump(ctx, "nexthop objects", func() error {
		all = map[uint32]nexthop{}
		req := nl.NewNetlinkRequest(getNexthop, unix.NLM_F_DUMP)
		req.AddData(nexthopHeader{})
		return each(req, newNexthop, func(m []byte) error {
			attrs, err := nl.ParseRouteAttr(m[min(8, len(m)):])
			if err != nil || len(m) < 8 {
				return err
			}
			object, id := nexthop{hop: hop{weight: 1, flags: uint8(value(m[4:]).word())}}, uint32(0)
			for _, a := range attrs {
				switch v := value(a.Value); a.Attr.Type & typeMask {
				case nhaID:
					id = v.word()
				case nhaOif:
					object.hop.link = int(v.word())
				case nhaGateway:
					object.hop.via, _ = netip.AddrFromSlice(v)
				case nhaGroup:
					object.members(v)
				}
			}
			all[id] = object
			return nil
		})
	})
	return all, err
}

// members reads an array of struct nexthop_grp.
func (n *nexthop) members(v value) {
	n.group = map[uint32]int{}
	for ; len(v) >= 8; v = v[8:] {
		n.group[v.word()] = int(v[4]) + 1
		n.order = append(n.order, v.word())
	}
}
