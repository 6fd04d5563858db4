package rtnl

import (
	"net"
	"net/netip"
	"os"
	"testing"
)

func TestOwnerOfATCPSocketIsFound(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		local, remote := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
		if uid, found, err := TCPSocketOwner(local, remote); err != nil || !found || uid != uint32(os.Getuid()) {
			t.Errorf("%s: user %d, %v, %v", local, uid, found, err)
		}
		// The kernel finds the listener for it.
		if uid, found, err := TCPSocketOwner(remote, netip.AddrPortFrom(remote.Addr(), 1)); err != nil || found {
			t.Errorf("no connection of %s: user %d, %v, %v", remote, uid, found, err)
		}
		if _, found, err := TCPSocketOwner(netip.AddrPortFrom(local.Addr(), 1), remote); err != nil || found {
			t.Errorf("a port without socket: %v, %v", found, err)
		}
	}
}
