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
	rtmNewNexthop = 104 // RTM_NEWNEXTHOP
	rtmDelNexthop = 105 // RTM_DELNEXTHOP
	rtmGetNexthop = 106 // RTM_GETNEXTHOP
	nhaID         = 1
	nhaGroup      = 2
	nhaOif        = 5
	nhaGateway    = 6
)

// nexthopHeader is a struct nhmsg for all objects.
type nexthopHeader struct{}

func (nexthopHeader) Len() int          { return 8 }
func (nexthopHeader) Serialize() []byte { return make([]byte, 8) }

// nexthopSet are the numbers of those by which routes lead that say something of a link, and of those in them. It is for
// several goroutines at once.
type nexthopSet struct{ sync.Map }

// track notes the objects of a route, given all objects where the kernel tells of routes only the number: then it does not
// tell either that a route's object has another in it now.
func (s *nexthopSet) track(r *rawRoute, all map[uint32]nexthop) {
	if r.nexthop == 0 || !r.affectsLinks() {
		return
	}
	s.Store(r.nexthop, true)
	for _, id := range all[r.nexthop].memberIDs {
		s.Store(id, true)
	}
}

// tracked reports whether it is one of them. One that goes is one no more: whatever comes to have its number is another.
func (s *nexthopSet) tracked(id uint32, deleted bool) (ok bool) {
	if deleted {
		_, ok = s.LoadAndDelete(id)
	} else {
		_, ok = s.Load(id)
	}
	return ok
}

// nexthopID is the number of the object that a message is about; 0: none.
func nexthopID(data []byte) (id uint32) {
	for attrType, v := range attrs(data[min(nexthopHeader{}.Len(), len(data)):]) {
		if attrType == nhaID {
			id = v.uint32()
		}
	}
	return id
}

// nexthop is an object: a hop, or a group of others.
type nexthop struct {
	hop       hop
	weights   map[uint32]int // weights by number
	memberIDs []uint32
}

// resolveNexthops gives routes by nexthop objects their hops where the kernel tells only the number (the sysctl
// nexthop_compat_mode is 0), and the objects, if it had to look at them.
func resolveNexthops(ctx context.Context, routes []rawRoute) (nexthops map[uint32]nexthop, err error) {
	for i := range routes {
		r := &routes[i]
		if !r.hasOnlyNexthopID() {
			continue
		}
		if nexthops == nil {
			if nexthops, err = listNexthops(ctx); err != nil {
				return nil, err
			}
		}
		r.multipath = hopsOfNexthop(nexthops, r.nexthop)
	}
	return nexthops, nil
}

func hopsOfNexthop(nexthops map[uint32]nexthop, id uint32) (hops []hop) {
	object := nexthops[id]
	if object.weights == nil {
		return []hop{object.hop}
	}
	for _, member := range object.memberIDs {
		h := nexthops[member].hop
		h.weight = object.weights[member]
		hops = append(hops, h)
	}
	return hops
}

func listNexthops(ctx context.Context) (all map[uint32]nexthop, err error) {
	err = dump(ctx, "nexthop objects", func() error {
		all = map[uint32]nexthop{}
		req := nl.NewNetlinkRequest(rtmGetNexthop, unix.NLM_F_DUMP)
		req.AddData(nexthopHeader{})
		return forEachReply(req, rtmNewNexthop, func(m []byte) error {
			attrs, err := nl.ParseRouteAttr(m[min(8, len(m)):])
			if err != nil || len(m) < 8 {
				return err
			}
			object, id := nexthop{hop: hop{weight: 1, flags: uint8(attrValue(m[4:]).uint32())}}, uint32(0)
			for _, a := range attrs {
				switch v := attrValue(a.Value); a.Attr.Type & typeMask {
				case nhaID:
					id = v.uint32()
				case nhaOif:
					object.hop.link = int(v.uint32())
				case nhaGateway:
					object.hop.via, _ = netip.AddrFromSlice(v)
				case nhaGroup:
					object.parseMembers(v)
				}
			}
			all[id] = object
			return nil
		})
	})
	return all, err
}

// parseMembers reads an array of struct nexthop_grp.
func (n *nexthop) parseMembers(v attrValue) {
	n.weights = map[uint32]int{}
	for ; len(v) >= 8; v = v[8:] {
		n.weights[v.uint32()] = int(v[4]) + 1
		n.memberIDs = append(n.memberIDs, v.uint32())
	}
}
