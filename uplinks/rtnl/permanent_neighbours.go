package rtnl

import (
	"errors"
	"fmt"
	"net"
	"sync"

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

// FoundRouterEntries returns the neighbour entries that stand for found routers, and those permanent ones of other programs at such
// an address. What the kernel has made itself for a packet is neither.
func FoundRouterEntries(f uplinks.Facts, entries []egress.Neighbour) (ours map[uplinks.NeighbourKey]string, foreign map[uplinks.NeighbourKey]bool) {
	ours, foreign = map[uplinks.NeighbourKey]string{}, map[uplinks.NeighbourKey]bool{}
	for _, n := range entries {
		name, there := f.LinkName(n.Link)
		if !there || !uplinks.IsFoundRouterAddr(n.Addr) {
			continue
		}
		key := uplinks.NeighbourKey{Link: name, Addr: n.Addr}
		permanent := n.State == egress.Permanent
		switch {
		case n.Protocol != uplinks.Protocol && (keepsProtocol() || !permanent):
			if permanent {
				foreign[key] = true
			}
		case permanent:
			ours[key] = egress.MACText(n.MAC)
		default:
			ours[key] = ""
		}
	}
	return ours, foreign
}

// keepsProtocol reports whether the kernel keeps the protocol of a neighbour entry. Without it, a permanent entry of such an address
// is taken for one of ours.
var keepsProtocol = sync.OnceValue(func() bool {
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return true
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(system.Release[:]), "%d.%d", &major, &minor)
	return err != nil || major > 5 || major == 5 && minor >= 2
})
