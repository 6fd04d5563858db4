package rtnl

import (
	"context"
	"fmt"
	"slices"

	"replypath/marks/nlattr"
	"replypath/uplinks/egress"

	"golang.org/x/sys/unix"
)

// Egress reads what the kernel consults for packets that leave by the links, which are named by their indexes.
func (h *Handle) Egress(ctx context.Context, links []int) (s egress.State, err error) {
	if s.Links, err = h.egressLinks(ctx); err != nil {
		return s, err
	}
	s.IndexPorts()
	if s.Neighbours, err = h.Neighbours(ctx); err != nil {
		return s, err
	}
	if s.Policies, err = Policies(ctx); err != nil {
		return s, err
	}
	var all []int
	for _, index := range links {
		for _, l := range s.Below(index) {
			all = append(all, l.Index)
		}
	}
	return s, h.readTrafficControl(ctx, &s, all)
}

// egressLinks returns all links by index.
func (h *Handle) egressLinks(ctx context.Context) (map[int]egress.Link, error) {
	links, err := h.listLinks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[int]egress.Link{}
	for _, l := range links {
		a := l.Attrs()
		all[a.Index] = egress.Link{Index: a.Index, Name: a.Name, Kind: linkKind(kernelKind(l)), Ethernet: a.EncapType == "ether",
			NoARP: a.RawFlags&unix.IFF_NOARP != 0, XDP: a.Xdp != nil && a.Xdp.Attached, Lower: a.ParentIndex, Master: a.MasterIndex,
			Namespace: a.NetNsID >= 0}
	}
	return all, nil
}

// linkKind returns the kind of a link, or "" for hardware.
func linkKind(kind string) string {
	if kind == "device" {
		return ""
	}
	return kind
}

// Neighbours returns the neighbour table of both families (ip-neighbour(8)).
func (h *Handle) Neighbours(ctx context.Context) (all []egress.Neighbour, err error) {
	return h.listNeighbours(ctx, unix.AF_UNSPEC)
}

// listNeighbours returns the neighbour table of the address family. The library's own list leaves bytes of the request uninitialized,
// which a strict socket rejects now and then.
func (h *Handle) listNeighbours(ctx context.Context, family uint8) (all []egress.Neighbour, err error) {
	err = dump(ctx, "neighbours", func() error {
		all = nil
		req := h.request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
		req.AddData(neighbourDump{family})
		return forEachReply(req, unix.RTM_NEWNEIGH, func(m []byte) error {
			if n, ok := parseNeighbour(m); ok {
				all = append(all, n)
			}
			return nil
		})
	})
	return all, err
}

// neighbourDump is a struct ndmsg that selects the entries of a family. The header of another size leaves bytes over, which kernels
// log, and reject on a strict socket.
type neighbourDump struct{ family uint8 }

// Len returns the size in bytes.
func (neighbourDump) Len() int { return unix.SizeofNdMsg }

// Serialize encodes the message.
func (d neighbourDump) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = d.family
	return b
}

// parseNeighbour decodes a struct ndmsg and its attributes. Entries of bridges are none.
func parseNeighbour(m []byte) (n egress.Neighbour, ok bool) {
	if len(m) < unix.SizeofNdMsg || m[0] != unix.AF_INET && m[0] != unix.AF_INET6 {
		return n, false
	}
	attrs := m[unix.SizeofNdMsg:]
	n = egress.Neighbour{Link: int(int32(nativeEndian.Uint32(m[4:]))), State: egress.NeighbourState(nativeEndian.Uint16(m[8:])),
		Addr: nlattr.Find(attrs, unix.NDA_DST).Addr(), MAC: string(nlattr.Find(attrs, unix.NDA_LLADDR)), Protocol: nlattr.Find(attrs, ndaProtocol).Uint8()}
	return n, n.Addr.IsValid()
}

// readTrafficControl reads the qdiscs of the links and their filters.
func (h *Handle) readTrafficControl(ctx context.Context, s *egress.State, links []int) error {
	err := dump(ctx, "qdiscs", func() error {
		s.Qdiscs = nil
		req := h.request(unix.RTM_GETQDISC, unix.NLM_F_DUMP)
		req.AddData(trafficControlMessage{})
		return forEachReply(req, unix.RTM_NEWQDISC, func(m []byte) error {
			if q, ok := parseQdisc(m); ok && slices.Contains(links, q.Link) {
				s.Qdiscs = append(s.Qdiscs, q)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, q := range s.Qdiscs {
		for _, parent := range filterParents(q, s.Qdiscs) {
			filters, err := h.filters(ctx, q.Link, parent)
			if err != nil {
				return fmt.Errorf("list the filters of %s: %w", s.LinkName(q.Link), err)
			}
			s.Filters = append(s.Filters, filters...)
		}
	}
	return nil
}

// withoutFilters are the qdiscs that use no filters, and one which only distributes packets to the queues of a device.
var withoutFilters = []string{"noqueue", "mq", "pfifo_fast", "pfifo", "bfifo", "pfifo_head_drop", "fq", "netem", "blackhole"}

// filterParents returns the handles below which a qdisc can have filters. Those of the queues of a device (mq) are defaults.
func filterParents(q egress.Qdisc, all []egress.Qdisc) []uint32 {
	isQueue := slices.ContainsFunc(all, func(o egress.Qdisc) bool { return o.Link == q.Link && o.Kind == "mq" && o.Handle>>16 == q.Parent>>16 })
	switch {
	case isQueue, slices.Contains(withoutFilters, q.Kind):
		return nil
	case q.Kind == "clsact":
		return []uint32{egress.ClsactIngress, egress.ClsactEgress}
	case q.Kind == "ingress":
		return []uint32{egress.Ingress}
	case q.Handle == 0:
		return nil // the default qdisc of a device
	}
	return []uint32{q.Handle}
}

// filters returns the filters below a parent of the link in the order of their evaluation.
func (h *Handle) filters(ctx context.Context, link int, parent uint32) (all []egress.Filter, err error) {
	err = dump(ctx, "filters", func() error {
		all = nil
		req := h.request(unix.RTM_GETTFILTER, unix.NLM_F_DUMP)
		req.AddData(trafficControlMessage{link, parent})
		return forEachReply(req, unix.RTM_NEWTFILTER, func(m []byte) error {
			if f, ok := parseFilter(m, parent); ok {
				all = append(all, f)
			}
			return nil
		})
	})
	resolveTables(all)
	slices.SortStableFunc(all, func(a, b egress.Filter) int { return int(a.Priority) - int(b.Priority) })
	return all, err
}

// trafficControlMessage is a struct tcmsg.
type trafficControlMessage struct {
	link   int
	parent uint32
}

// sizeofTrafficControl is the size of struct tcmsg.
const sizeofTrafficControl = 20

// Len returns the size in bytes.
func (trafficControlMessage) Len() int { return sizeofTrafficControl }

// Serialize encodes the message.
func (t trafficControlMessage) Serialize() []byte {
	b := make([]byte, sizeofTrafficControl)
	nativeEndian.PutUint32(b[4:], uint32(t.link))
	nativeEndian.PutUint32(b[12:], t.parent)
	return b
}
