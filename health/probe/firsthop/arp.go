package firsthop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"time"

	"replypath/health"
	"replypath/uplinks/egress"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The fields of an ARP packet (RFC 826).
const (
	arpLength  = 28
	arpRequest = 1
	arpReply   = 2
)

var (
	errNotEthernet = errors.New("the interface has no Ethernet address: configure a probe with a target")
	broadcast      = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// arpProber asks gateways by ARP.
type arpProber struct {
	socket   *frameSocket
	frames   *frameSender
	hardware *hardwareCache
	pending  requests
}

// openARP opens a socket that receives the ARP replies on all interfaces.
func openARP(timers health.Timers) (*arpProber, error) {
	s, err := openFrameSocket(unix.ETH_P_ARP, []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	a := &arpProber{socket: s, frames: &frameSender{shared: s}, hardware: newHardwareCache(s.hardwareAddr)}
	a.pending.timers = timers
	a.pending.isFor = func(q *request, message []byte) bool {
		return isARPReply(message, q.path.Gateway, arpSource(q.path), q.hardware)
	}
	go a.receive(s.raw)
	return a, nil
}

// Close closes the sockets.
func (a *arpProber) Close() error {
	a.pending.close()
	a.hardware.Close()
	return errors.Join(a.frames.Close(), a.socket.Close())
}

func (a *arpProber) refresh() { a.hardware.refresh() }

func (a *arpProber) requests() *requests { return &a.pending }

func (a *arpProber) sender() (s *frameSender, etherType uint16) { return a.frames, unix.ETH_P_ARP }

func (a *arpProber) prepare(q *request, packet []byte) (to, complete []byte, err error) {
	if q.hardware, err = a.hardware.get(q.path.Link); err != nil {
		return nil, nil, err
	}
	if len(q.hardware) == 0 {
		return nil, nil, errNotEthernet
	}
	return broadcast, appendARPRequest(packet, q.path.Gateway, arpSource(q.path), q.hardware), nil
}

// arpSource returns the address that a request by the path is from.
func arpSource(p *health.Path) netip.Addr {
	if p.Source.Is4() {
		return p.Source
	}
	return netip.IPv4Unspecified()
}

// receive ends the requests that are replied to, until the socket is closed.
func (a *arpProber) receive(raw syscall.RawConn) {
	var ended endings
	readAll(raw, func(packets []receivedPacket) {
		now := time.Now()
		for _, p := range packets {
			if b := p.data; len(b) >= arpLength {
				sender, _ := netip.AddrFromSlice(b[14:18])
				a.pending.receive(egress.LinkAddr{Link: p.link, Addr: sender}, b, b[8:14], now, &ended)
			}
		}
		ended.flush()
	})
}

// appendARPRequest appends an ARP request for the hardware address of the target.
func appendARPRequest(b []byte, target, source netip.Addr, hardware []byte) []byte {
	from, to := source.As4(), target.As4()
	b = append(append(appendARPHeader(b, arpRequest), hardware...), from[:]...)
	return append(append(b, make([]byte, hardwareAddrLen)...), to[:]...)
}

// isARPReply reports whether the packet is the target's ARP reply to this host.
func isARPReply(b []byte, target, source netip.Addr, hardware []byte) bool {
	var header [8]byte
	from, to := target.As4(), source.As4()
	return len(b) >= arpLength && bytes.Equal(b[:8], appendARPHeader(header[:0], arpReply)) &&
		bytes.Equal(b[14:18], from[:]) && bytes.Equal(b[18:24], hardware) && bytes.Equal(b[24:28], to[:])
}

func appendARPHeader(b []byte, operation uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, unix.ARPHRD_ETHER)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	return binary.BigEndian.AppendUint16(append(b, hardwareAddrLen, 4), operation)
}
