package rtnl

import (
	"errors"
	"fmt"
	"net"

	"replypath/uplinks"
	"replypath/uplinks/egress"

	"golang.org/x/sys/unix"
)

// ndaProtocol is the attribute NDA_PROTOCOL (linux/neighbour.h), which kernels before 5.2 pass over.
const ndaProtocol = 12

// SetNeighbour adds a change that adds a permanent neighbour entry, or replaces the entry of its address.
func (b *Batch) SetNeighbour(k uplinks.NeighbourKey, text string) {
	index, err := b.h.LinkIndex(k.Link)
	mac, bad := net.ParseMAC(text)
	m := encodeNeighbour(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, k, index)
	m.addAttr(unix.NDA_LLADDR, mac)
	m.addAttr(ndaProtocol, []byte{uplinks.Protocol})
	if err = errors.Join(err, bad); err != nil {
		err = fmt.Errorf("set the neighbour %s on %s: %w", k.Addr, k.Link, err)
	}
	b.add(m, false, err)
}

// DelNeighbour adds a change that deletes a neighbour entry. A missing entry or link is no error.
func (b *Batch) DelNeighbour(k uplinks.NeighbourKey) {
	index, err := b.h.LinkIndex(k.Link)
	if errors.Is(err, unix.ENODEV) {
		b.skipDelete()
		return
	}
	b.add(encodeNeighbour(unix.RTM_DELNEIGH, 0, k, index), true, err)
}

// encodeNeighbour encodes the place of a permanent entry (rtnetlink(7), struct ndmsg).
func encodeNeighbour(kind, flags uint16, k uplinks.NeighbourKey, link int) message {
	m := newMessage(kind, flags, unix.SizeofNdMsg)
	header := m.header()
	header[0] = uint8(addressFamily(uplinks.FamilyOf(k.Addr)))
	nativeEndian.PutUint32(header[4:], uint32(link))
	nativeEndian.PutUint16(header[8:], unix.NUD_PERMANENT)
	m.addAddr(unix.NDA_DST, k.Addr)
	return m
}

// FoundRouterEntries returns those neighbour entries that stand for found routers.
func FoundRouterEntries(f uplinks.Facts, entries []egress.Neighbour) map[uplinks.NeighbourKey]string {
	all := map[uplinks.NeighbourKey]string{}
	for _, n := range entries {
		name, there := f.LinkName(n.Link)
		if !there || !uplinks.IsFoundRouterAddr(n.Addr) {
			continue
		}
		mac := ""
		if n.State == egress.Permanent {
			mac = egress.MACText(n.MAC)
		}
		all[uplinks.NeighbourKey{Link: name, Addr: n.Addr}] = mac
	}
	return all
}
