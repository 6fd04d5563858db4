package daemon

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"replypath/marks"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// advertise sends a router's advertisement (RFC 4861, 4.2) by a link to all on the other side.
func advertise(h *world.Host, link *world.Link, lifetime uint16, mtu uint32) (err error) {
	m := []byte{134, 0, 0, 0, 64, 0}
	m = binary.BigEndian.AppendUint16(m, lifetime)
	m = append(m, 0, 0, 0, 0, 0, 0, 0, 0) // reachable and retransmission times: not said
	m = binary.BigEndian.AppendUint32(append(m, 5, 1, 0, 0), mtu)
	h.Do(func() {
		var socket int
		if socket, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return
		}
		defer unix.Close(socket)
		if err = unix.SetsockoptInt(socket, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return
		}
		all := [16]byte{0: 0xff, 1: 2, 15: 1}
		err = os.NewSyscallError("sendto", unix.Sendto(socket, m, 0, &unix.SockaddrInet6{Addr: all, ZoneId: uint32(link.Index)}))
	})
	return err
}

// A router that says another MTU changes the routes by it, and nobody is told of those.
func TestARoutersWordIsFollowed(t *testing.T) {
	w := newWatched(t, marks.NFT)
	w.gateway.Run("sh", "-ec", `
		ip -6 route del default
		sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.eth0.accept_ra_defrtr=1 net.ipv6.conf.eth0.accept_ra_mtu=1`)
	for _, says := range []struct {
		lifetime uint16
		mtu      uint32
		main     string
	}{{1000, 1400, "mtu 1400"}, {1000, 1300, "mtu 1300"}, {1000, 1500, "mtu 1500"}, {0, 1500, ""}} {
		if err := advertise(w.outside, w.outside.Link("eth0"), says.lifetime, says.mtu); err != nil {
			t.Fatal(err)
		}
		w.gateway.Run("sh", "-ec", fmt.Sprintf(
			"until ip -6 route show default | grep -q '%s' || [ -z '%[1]s' -a -z \"$(ip -6 route show default)\" ]; do sleep 0.01; done", says.main))
		w.agree(fmt.Sprintf("%+v", says))
	}
}
