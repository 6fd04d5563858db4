package perf

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"replypath/test/world"
)

// bareVariable makes the test program a bareProgram, and has its gateways.
const bareVariable = "REPLYPATH_BARE_PROGRAM"

// bareGateway is what the bare program asks, and from where.
type bareGateway struct {
	Index        int // of the link
	From4, From6 netip.Addr
	Gate4, Gate6 netip.Addr

	mac net.HardwareAddr // of the link
}

// bareTime is how long the bare program is measured.
const bareTime = 20 * time.Second

// bareShare is the share of a core that a bare program in C takes to ask so many gateways in both families, once a second, in percent, on
// the machine that the bounds are from.
var bareShare = map[int]float64{restUplinks: 0.15, 250: 0.84}

// bareProgram asks the gateways of bareVariable once a second by ARP and neighbour discovery, reads the replies, and does nothing else.
// Without the variable it returns.
func bareProgram() {
	text, requested := os.LookupEnv(bareVariable)
	if !requested {
		return
	}
	runtime.LockOSThread()
	var gateways []bareGateway
	if err := json.Unmarshal([]byte(text), &gateways); err != nil {
		panic(err)
	}
	arp, ipv6 := packetSocket(unix.ETH_P_ARP), packetSocket(unix.ETH_P_IPV6)
	type frame struct {
		socket  int
		to      unix.SockaddrLinklayer
		payload []byte
	}
	var frames []frame
	for _, g := range gateways {
		link, err := net.InterfaceByIndex(g.Index)
		if err != nil {
			panic(err)
		}
		g.mac = link.HardwareAddr
		broadcast := unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ARP), Ifindex: g.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
		last := g.Gate6.As16()
		multicast := unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_IPV6), Ifindex: g.Index, Halen: 6, Addr: [8]byte{0x33, 0x33, 0xff, last[13], last[14], last[15]}}
		frames = append(frames, frame{arp, broadcast, g.arpRequest()}, frame{ipv6, multicast, g.solicitation()})
	}
	buffer := make([]byte, 2048)
	for {
		for i := range frames {
			_ = unix.Sendto(frames[i].socket, frames[i].payload, 0, &frames[i].to)
		}
		for _, socket := range []int{arp, ipv6} {
			for range gateways {
				if _, _, err := unix.Recvfrom(socket, buffer, 0); err != nil {
					break // it times out: not all have replied
				}
			}
		}
		next := unix.NsecToTimespec(int64(time.Second) - time.Now().UnixNano()%int64(time.Second))
		_ = unix.Nanosleep(&next, nil)
	}
}

// packetSocket opens a socket for a protocol, whose reads time out.
func packetSocket(protocol int) int {
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(swap(protocol)))
	if err == nil {
		err = unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err == nil {
		err = unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	if err != nil {
		panic(err)
	}
	return s
}

// swap returns the number in network order.
func swap(protocol int) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(protocol)))
}

// arpRequest returns a request for the gateway's hardware address (RFC 826).
func (g bareGateway) arpRequest() []byte {
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, g.mac...)
	b = append(b, g.From4.AsSlice()...)
	return append(append(b, make([]byte, 6)...), g.Gate4.AsSlice()...)
}

// solicitation returns a neighbour solicitation for the gateway in its IPv6 packet (RFC 4861, 4.3).
func (g bareGateway) solicitation() []byte {
	target := g.Gate6.As16()
	group := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
	message := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target[:]...)
	message = append(append(message, 1, 1), g.mac...)
	header := append([]byte{0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255}, g.From6.AsSlice()...)
	header = append(header, group[:]...)
	sum := uint32(len(message)) + unix.IPPROTO_ICMPV6 // of the pseudo-header, whose other parts are zero
	for _, part := range [][]byte{header[8:], message} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
	return append(header, message...)
}

// measureBareProgram returns the share of a core that the bare program takes on the host, in percent.
func measureBareProgram(b *testing.B, gateway *world.Host, gateways []bareGateway) float64 {
	b.Helper()
	text, err := json.Marshal(gateways)
	if err != nil {
		b.Fatal(err)
	}
	cmd := gateway.Command(b.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), bareVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer killInBench(b, cmd)
	time.Sleep(2 * time.Second) // its start
	before, began := cmd.CPUTime(), time.Now()
	time.Sleep(bareTime)
	share := 100 * (cmd.CPUTime() - before).Seconds() / time.Since(began).Seconds()
	b.Logf("a program that does nothing but ask %d gateways takes %.2f %%CPU", len(gateways), share)
	return share
}
