package routers

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// icmpErrors are errors of both families that a router sends about a packet, with the counter of the kernel for them.
var icmpErrors = map[bool][]icmpError{
	false: {{3, 3, "IcmpInDestUnreachs"}, {3, 4, "IcmpInDestUnreachs"}},
	true:  {{1, 4, "Icmp6InDestUnreachs"}, {2, 0, "Icmp6InPktTooBigs"}},
}

type icmpError struct {
	kind, code byte
	counter    string
}

// nextMTU is that of errors which say that a packet is too big.
const nextMTU = 1400

// sendError sends an error of a router about a datagram that the gateway has sent.
func (f *rawFrames) sendError(e icmpError, mac net.HardwareAddr, router netip.Addr, about, to netip.AddrPort) {
	f.t.Helper()
	udp := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, about.Port()), to.Port())
	inner := append(ipHeader(unix.IPPROTO_UDP, about.Addr(), to.Addr(), 8), append(udp, 0, 8, 0, 0)...)
	body := append(binary.BigEndian.AppendUint32([]byte{e.kind, e.code, 0, 0}, nextMTU), inner...)
	proto := unix.IPPROTO_ICMP
	pseudo := []byte{}
	etherType := uint16(unix.ETH_P_IP)
	if router.Is6() {
		proto, etherType = unix.IPPROTO_ICMPV6, unix.ETH_P_IPV6
		pseudo = slices.Concat(router.AsSlice(), about.Addr().AsSlice(), []byte{0, 0, 0, byte(len(body)), 0, 0, 0, unix.IPPROTO_ICMPV6})
	}
	binary.BigEndian.PutUint16(body[2:], checksum(slices.Concat(pseudo, body)))
	frame := binary.BigEndian.AppendUint16(slices.Concat(f.to, mac), etherType)
	frame = slices.Concat(frame, ipHeader(proto, router, about.Addr(), len(body)), body)
	if err := unix.Sendto(f.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: f.link, Halen: 6}); err != nil {
		f.t.Fatal(err)
	}
}

// ipHeader returns the header of a packet with a payload of that size.
func ipHeader(proto int, from, to netip.Addr, size int) []byte {
	if from.Is6() {
		return slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(size), byte(proto), 64}, from.AsSlice(), to.AsSlice())
	}
	header := slices.Concat([]byte{0x45, 0, 0, byte(20 + size), 0, 0, 0, 0, 64, byte(proto), 0, 0}, from.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return header
}

// kernelCounter returns a counter of the gateway's kernel, as nstat(8) names it.
func (o *office) kernelCounter(t *testing.T, name string) (n int) {
	t.Helper()
	for line := range strings.Lines(o.Gateway.Run("nstat", "-asz", name)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			var err error
			if n, err = strconv.Atoi(words[1]); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the kernel has no counter %s", name)
	return 0
}

// answerAfter lets a client ask a server on the gateway that answers once between has returned, and reports whether the answer arrives.
func (o *office) answerAfter(t *testing.T, client *world.Host, to netip.Addr, between func(server, client netip.AddrPort)) bool {
	t.Helper()
	var server, querier *net.UDPConn
	var err error
	o.Gateway.Do(func() { server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0))) })
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	client.Do(func() { querier, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at)) })
	if err != nil {
		t.Fatal(err)
	}
	defer querier.Close()
	if _, err := querier.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 100)
	server.SetReadDeadline(time.Now().Add(time.Minute))
	_, from, err := server.ReadFromUDPAddrPort(text)
	if err != nil {
		t.Fatalf("the question to %s: %v", to, err)
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	between(at, from)
	if _, err := server.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
		t.Errorf("answer to %s: %v", from, err)
		return false
	}
	querier.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = querier.Read(text)
	return err == nil
}

// An ICMP error that comes in by another uplink than its connection, forged or not, does not draw the replies to that uplink: what the
// server sends before the client's next packet leaves by the uplink of the client's last one. Strict source validation drops the error.
func TestErrorByAnotherUplinkDrawsNoReply(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		dsl, cable, fibre := o.Routers[0], o.Routers[1], o.Uplinks[0]
		ways := []struct {
			what   string
			client *world.Host
			to     []netip.Addr
			by     *world.Link // of the router that sends the error
			into   string
			router []netip.Addr
			shared bool
		}{
			{"of dsl, by fibre", dsl.Client, o.to(), fibre.Wire, "eth0", []netip.Addr{fibre.Router4, fibre.Router6}, false},
			{"of fibre, by dsl", o.Client, fibre.Addrs(), dsl.Link, "eth1", []netip.Addr{dsl.Addr4, dsl.Addr6}, false},
			{"of cable, by fibre", cable.Client, o.to(), fibre.Wire, "eth0", []netip.Addr{fibre.Router4, fibre.Router6}, true},
			{"of fibre, by cable", o.Client, fibre.Addrs(), cable.Link, "eth1", []netip.Addr{cable.Addr4, cable.Addr6}, true},
			{"of cable, by dsl", cable.Client, o.to(), dsl.Link, "eth1", []netip.Addr{dsl.Addr4, dsl.Addr6}, true},
		}
		for _, strict := range []bool{false, true} {
			o.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", map[bool]string{false: "0", true: "1"}[strict])
			for _, shared := range []bool{false, true} {
				if o.configureFirst(""); shared {
					o.configure("", "")
				}
				o.Apply()
				for _, w := range ways {
					if w.shared && !shared {
						continue
					}
					frames := o.rawFramesBy(t, w.by, w.into)
					mac, err := net.ParseMAC(hardwareAddr(w.by.Host, w.by.Name))
					if err != nil {
						t.Fatal(err)
					}
					for i, to := range w.to {
						for _, e := range icmpErrors[to.Is6()] {
							counter := e.counter
							if strict && to.Is4() && w.what != "of cable, by dsl" {
								counter = "TcpExtIPReversePathFilter"
							}
							ok := o.answerAfter(t, w.client, to, func(server, client netip.AddrPort) {
								before := o.kernelCounter(t, counter)
								frames.sendError(e, mac, w.router[i], server, client)
								box.Eventually(t, box.EventualTimeout, fmt.Sprintf("%s counts the error %d/%d %s", counter, e.kind, e.code, w.what), func() bool { return o.kernelCounter(t, counter) > before })
							})
							if !ok {
								t.Fatalf("strict %t, shared %t: the reply from %s is lost after an error %d/%d %s", strict, shared, to, e.kind, e.code, w.what)
							}
						}
					}
				}
			}
		}
	})
}
