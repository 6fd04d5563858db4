package firsthop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"replypath/health"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The fields of an ARP packet (RFC 826).
const (
	hardwareAddrLen = 6 // the length of a hardware address
	arpLength       = 28
	arpRequest      = 1
	arpReply        = 2
)

var errNotEthernet = errors.New("the interface has no Ethernet address: configure a probe with a target")

func (s *packetSocket) probe(p health.Path) (r reply, err error) {
	r.sent = time.Now()
	hardware, err := s.hardwareAddr()
	if err != nil {
		return r, err
	}
	if len(hardware) == 0 {
		return r, errNotEthernet
	}
	source := netip.IPv4Unspecified()
	if p.Source.Is4() {
		source = p.Source
	}
	r.sent = time.Now()
	if err := s.broadcast(p.Index, arpRequestTo(p.Gateway, source, hardware)); err != nil {
		return r, err
	}
	buffer := make([]byte, 128)
	for {
		n, err := s.receive(buffer)
		if err != nil {
			return r, err
		}
		if isARPReply(buffer[:n], p.Gateway, source, hardware) {
			r.took, r.mac = time.Since(r.sent), string(buffer[8:14])
			return r, nil
		}
	}
}

// openARPSocket opens a socket that receives the ARP replies on the path's interface.
func openARPSocket(p health.Path) (*packetSocket, error) {
	s, err := openPacketSocket(p, unix.ETH_P_ARP)
	if err != nil {
		return nil, err
	}
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err == nil {
		err = s.attachFilter(program)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
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
