package firsthop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"

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
	sender   *frameSender
	hardware *hardwareCache
	pending  requests
}

// openARP opens a socket that receives the ARP replies on all interfaces.
func openARP() (*arpProber, error) {
	s, err := openFrameSocket(unix.ETH_P_ARP, []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	a := &arpProber{socket: s, sender: &frameSender{shared: s}, hardware: newHardwareCache(s.hardwareAddr)}
	go s.receive(a.receive)
	return a, nil
}

// Close closes the sockets.
func (a *arpProber) Close() error {
	a.pending.close()
	a.hardware.Close()
	return errors.Join(a.sender.Close(), a.socket.Close())
}

func (a *arpProber) refresh() { a.hardware.refresh() }

func (a *arpProber) requests() *requests { return &a.pending }

func (a *arpProber) request(p *health.Path) (q *request, send func() error, err error) {
	hardware, err := a.hardware.get(p.Link)
	if err != nil {
		return nil, nil, err
	}
	if len(hardware) == 0 {
		return nil, nil, errNotEthernet
	}
	source := netip.IPv4Unspecified()
	if p.Source.Is4() {
		source = p.Source
	}
	isFor := func(b []byte) bool { return isARPReply(b, p.Gateway, source, hardware) }
	return &request{gateway: GatewayAddr(*p), isFor: isFor}, func() error {
		return a.sender.send(p.Index, unix.ETH_P_ARP, broadcast, arpRequestTo(p.Gateway, source, hardware))
	}, nil
}

func (a *arpProber) receive(index int, b []byte) {
	if len(b) >= arpLength {
		sender, _ := netip.AddrFromSlice(b[14:18])
		a.pending.receive(egress.LinkAddr{Link: index, Addr: sender}, b, string(b[8:14]))
	}
}

// arpRequestTo returns an ARP request for the hardware address of the target.
func arpRequestTo(target, source netip.Addr, hardware []byte) []byte {
	b := arpHeader(arpRequest)
	b = append(append(b, hardware...), source.AsSlice()...)
	return append(append(b, make([]byte, hardwareAddrLen)...), target.AsSlice()...)
}

// isARPReply reports whether the packet is the target's ARP reply to this host.
func isARPReply(b []byte, target, source netip.Addr, hardware []byte) bool {
	return len(b) >= arpLength && bytes.Equal(b[:8], arpHeader(arpReply)) &&
		bytes.Equal(b[14:18], target.AsSlice()) && bytes.Equal(b[18:24], hardware) && bytes.Equal(b[24:28], source.AsSlice())
}

func arpHeader(operation uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, unix.ARPHRD_ETHER)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	return binary.BigEndian.AppendUint16(append(b, hardwareAddrLen, 4), operation)
}
