package rtnl

import (
	"context"
	"fmt"
	"sync"

	"replypath/marks/nlattr"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Messages and attributes of nexthop objects (linux/nexthop.h), which the library does not support.
const (
	rtmNewNexthop = 104 // RTM_NEWNEXTHOP
	rtmDelNexthop = 105 // RTM_DELNEXTHOP
	rtmGetNexthop = 106 // RTM_GETNEXTHOP
	nhaID         = 1
	nhaGroup      = 2
	nhaOif        = 5
	nhaGateway    = 6
)

// nexthopHeader is the struct nhmsg of a request for all objects.
type nexthopHeader struct{}

// Len returns the size in bytes.
func (nexthopHeader) Len() int { return 8 }

// Serialize encodes the header.
func (nexthopHeader) Serialize() []byte { return make([]byte, 8) }

// nexthopSet holds the IDs of the nexthop objects that routes with facts about links use, and of the members of these. Safe
// for concurrent use.
type nexthopSet struct{ sync.Map }

// track adds the objects of the route. all has every object when the kernel reports only IDs for routes: then it does not
// announce either when an object gets another member.
func (s *nexthopSet) track(r *rawRoute, all map[uint32]nexthop) {
	if r.nexthop == 0 || !r.affectsLinks() {
		return
	}
	s.Store(r.nexthop, true)
	for _, id := range all[r.nexthop].memberIDs {
		s.Store(id, true)
	}
}

// tracked reports whether the object is in the set. One that is deleted is removed: an ID can be reused.
func (s *nexthopSet) tracked(id uint32, deleted bool) (ok bool) {
	if deleted {
		_, ok = s.LoadAndDelete(id)
	} else {
		_, ok = s.Load(id)
	}
	return ok
}

// nexthopID returns the ID of the object that the message is about, or 0.
func nexthopID(data []byte) (id uint32) {
	for attrType, v := range nlattr.All(data[min(nexthopHeader{}.Len(), len(data)):]) {
		if attrType == nhaID {
			id = v.Uint32()
		}
	}
	return id
}

// nexthop is an object: a next hop, or a group of other objects.
type nexthop struct {
	hop       hop
	weights   map[uint32]int // the weight of each member, by its ID; nil for a next hop
	memberIDs []uint32
}

// resolveNexthops adds the next hops to routes for which the kernel reports only the ID of an object (the sysctl
// nexthop_compat_mode is 0). It returns all objects when it had to list them, or nil.
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

// hopsOfNexthop returns the next hops of an object, those of a group with their weights.
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

// listNexthops returns all nexthop objects by their ID.
func listNexthops(ctx context.Context) (all map[uint32]nexthop, err error) {
	err = dump(ctx, "nexthop objects", func() error {
		all = map[uint32]nexthop{}
		req := nl.NewNetlinkRequest(rtmGetNexthop, unix.NLM_F_DUMP)
		req.AddData(nexthopHeader{})
		return forEachReply(req, rtmNewNexthop, func(m []byte) error {
			id, object, err := parseNexthop(m)
			all[id] = object
			return err
		})
	})
	return all, err
}

// parseNexthop decodes an object and its ID from behind the header of the message on (struct nhmsg, and attributes).
func parseNexthop(m []byte) (id uint32, object nexthop, err error) {
	size := nexthopHeader{}.Len()
	if len(m) < size {
		return 0, object, fmt.Errorf("a nexthop object of %d bytes: %w", len(m), unix.EBADMSG)
	}
	object.hop = hop{weight: 1, flags: uint8(nlattr.Value(m[4:]).Uint32())}
	for attrType, v := range nlattr.All(m[size:]) {
		switch attrType {
		case nhaID:
			id = v.Uint32()
		case nhaOif:
			object.hop.link = int(v.Uint32())
		case nhaGateway:
			object.hop.via = v.Addr()
		case nhaGroup:
			object.parseMembers(v)
		}
	}
	return id, object, nil
}

// parseMembers decodes an array of struct nexthop_grp.
func (n *nexthop) parseMembers(v nlattr.Value) {
	n.weights = map[uint32]int{}
	for ; len(v) >= 8; v = v[8:] {
		n.weights[v.Uint32()] = int(v[4]) + 1
		n.memberIDs = append(n.memberIDs, v.Uint32())
	}
}
