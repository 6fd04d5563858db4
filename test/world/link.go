package world

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Link is one host's network interface; of a veth pair it is one end.
type Link struct {
	Name  string
	Host  *Host
	Index int
	Peer  *Link // the other end; nil when there is none
}

// Join connects two hosts by a veth pair, one link on each, and sets both ends up.
func (w *World) Join(a *Host, nameA string, b *Host, nameB string) (*Link, *Link) {
	w.tb.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = nameA, w.mac()
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerHardwareAddr: w.mac()}
	pair.PeerNamespace = netlink.NsFd(b.net.Fd())
	a.must(a.rtnl.LinkAdd(pair), "join %s to %s %s", nameA, b.Name, nameB)
	endA, endB := a.adopt(nameA), b.adopt(nameB)
	endA.Peer, endB.Peer = endB, endA
	endA.Up()
	endB.Up()
	return endA, endB
}

// AddLink makes a link that has no other end, of a kind that ip(8) knows: "bridge", "dummy", "ifb". It sets it up.
func (h *Host) AddLink(name, kind string) *Link {
	h.world.tb.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, h.world.mac()
	h.must(h.rtnl.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: kind}), "add link %s type %s", name, kind)
	l := h.adopt(name)
	l.Up()
	return l
}

// Bridge makes a bridge with the given ports. The host's addresses belong on the bridge, not on the ports.
func (h *Host) Bridge(name string, ports ...*Link) *Link {
	h.world.tb.Helper()
	bridge := h.AddLink(name, "bridge")
	for _, port := range ports {
		h.must(h.rtnl.LinkSetMasterByIndex(port.handle(), bridge.Index), "set %s master %s", port.Name, name)
	}
	bridge.await()
	return bridge
}

// Link returns the host's link of that name. It fails the test when there is none.
func (h *Host) Link(name string) *Link {
	h.world.tb.Helper()
	if l, ok := h.links[name]; ok {
		return l
	}
	return h.adopt(name)
}

// adopt finds a link that is there and keeps it.
func (h *Host) adopt(name string) *Link {
	h.world.tb.Helper()
	found, err := h.rtnl.LinkByName(name)
	h.must(err, "link %s", name)
	l := &Link{Name: name, Host: h, Index: found.Attrs().Index}
	h.links[name] = l
	return l
}

// Up sets the link up. When the other end is up as well, both can send when it returns.
func (l *Link) Up() {
	l.Host.world.tb.Helper()
	l.Host.must(l.Host.rtnl.LinkSetUp(l.handle()), "set %s up", l.Name)
	l.await()
	if l.Peer != nil {
		l.Peer.await()
	}
}

// Down sets the link down.
func (l *Link) Down() {
	l.Host.world.tb.Helper()
	l.Host.must(l.Host.rtnl.LinkSetDown(l.handle()), "set %s down", l.Name)
}

// Rename gives the link another name and sets it up. Its IPv4 addresses stay, its routes and IPv6 addresses do not.
func (l *Link) Rename(name string) {
	l.Host.world.tb.Helper()
	l.Down()
	l.Host.must(l.Host.rtnl.LinkSetName(l.handle(), name), "rename %s to %s", l.Name, name)
	delete(l.Host.links, l.Name)
	l.Name = name
	l.Host.links[name] = l
	l.Up()
}

// MTU sets the link's MTU.
func (l *Link) MTU(mtu int) {
	l.Host.world.tb.Helper()
	l.Host.must(l.Host.rtnl.LinkSetMTU(l.handle(), mtu), "set %s mtu %d", l.Name, mtu)
}

// Delete deletes the link; of a veth pair both ends go.
func (l *Link) Delete() {
	l.Host.world.tb.Helper()
	l.Host.must(l.Host.rtnl.LinkDel(l.handle()), "del %s", l.Name)
	delete(l.Host.links, l.Name)
}

// Addr adds addresses, "192.0.2.2/24", usable at once.
func (l *Link) Addr(prefixes ...string) {
	l.Host.world.tb.Helper()
	for _, p := range prefixes {
		l.addr(netip.MustParsePrefix(p))
	}
}

func (l *Link) handle() netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}}
}

// mac returns a hardware address that no other link of this world has; the same world gets the same addresses each time.
func (w *World) mac() net.HardwareAddr {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.macs++
	return net.HardwareAddr{0x02, 0, 0, 0, byte(w.macs >> 8), byte(w.macs)}
}
