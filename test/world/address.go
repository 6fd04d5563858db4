package world

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (l *Link) addr(p netip.Prefix) {
	l.Host.world.tb.Helper()
	l.Host.must(l.Host.rtnl.AddrAdd(l.handle(), &netlink.Addr{IPNet: ipNet(p)}), "addr add %s dev %s", p, l.Name)
	if p.Addr().Is6() {
		l.awaitAddr(p.Addr())
	}
}

// LinkLocal gives the link this one link-local IPv6 address in place of the one the kernel made.
func (l *Link) LinkLocal(address string) {
	l.Host.world.tb.Helper()
	l.Host.SetSysctl("net/ipv6/conf/"+l.Name+"/addr_gen_mode", "1")
	have, err := l.Host.rtnl.AddrList(l.handle(), unix.AF_INET6)
	for errors.Is(err, netlink.ErrDumpInterrupted) { // other worlds change addresses, too
		have, err = l.Host.rtnl.AddrList(l.handle(), unix.AF_INET6)
	}
	l.Host.must(err, "addr list dev %s", l.Name)
	for _, a := range have {
		if a.IP.IsLinkLocalUnicast() {
			l.Host.must(l.Host.rtnl.AddrDel(l.handle(), &a), "addr del %s dev %s", a.IPNet, l.Name)
		}
	}
	l.addr(netip.PrefixFrom(netip.MustParseAddr(address), 64))
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// ip returns the library's form of an address; none for the zero Addr.
func ip(a netip.Addr) net.IP {
	return a.AsSlice()
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// sockaddr returns the kernel's form of an address and port.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// addrPort reads the kernel's form; the zero AddrPort when it is something else.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// unspecified returns the wildcard address of the same family.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
