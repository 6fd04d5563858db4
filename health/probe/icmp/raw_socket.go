package icmp

import (
	"net"

	"replypath/uplinks"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// rawSocket is a raw ICMP socket that reports the interface that a message arrived on.
type rawSocket struct {
	net.PacketConn
	v4 *ipv4.PacketConn
	v6 *ipv6.PacketConn
}

// openRawSocket opens a socket that receives the family's echo replies whose identifiers have the prefix.
func openRawSocket(f uplinks.Family, prefix uint16) (s rawSocket, err error) {
	network, wildcard := "ip4:icmp", "0.0.0.0"
	if f == uplinks.IPv6 {
		network, wildcard = "ip6:ipv6-icmp", "::"
	}
	if s.PacketConn, err = net.ListenPacket(network, wildcard); err != nil {
		return s, err
	}
	if err = s.configure(f, prefix); err != nil {
		s.Close()
	}
	return s, err
}

func (s *rawSocket) configure(f uplinks.Family, prefix uint16) error {
	if f == uplinks.IPv4 {
		s.v4 = ipv4.NewPacketConn(s.PacketConn)
		program, err := bpf.Assemble(replyFilter(prefix, uint32(ipv4.ICMPTypeEchoReply), bpf.LoadMemShift{Off: 0}, ipv4.HeaderLen))
		if err != nil {
			return err
		}
		if err := s.v4.SetBPF(program); err != nil {
			return err
		}
		return s.v4.SetControlMessage(ipv4.FlagInterface, true)
	}
	s.v6 = ipv6.NewPacketConn(s.PacketConn)
	program, err := bpf.Assemble(replyFilter(prefix, uint32(ipv6.ICMPTypeEchoReply), bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, 0))
	if err != nil {
		return err
	}
	if err := s.v6.SetBPF(program); err != nil {
		return err
	}
	return s.v6.SetControlMessage(ipv6.FlagInterface, true)
}

// loopback is the index of lo in every network namespace.
const loopback = 1

// replyFilter returns a classic BPF program that accepts echo replies whose identifier has the prefix. A reply that arrives
// on lo is cut after its ICMP header: for the replies of the host itself the kernel reports the interface that has the
// address, as if they had arrived there. toICMP loads the offset of the ICMP header into register X: the filter of an IPv4
// raw socket sees the IP header too, of ipHeaderLen octets, that of an IPv6 one does not.
func replyFilter(prefix uint16, replyType uint32, toICMP bpf.Instruction, ipHeaderLen uint32) []bpf.Instruction {
	const prefixMask = uint32(0xffff) &^ idMask
	return []bpf.Instruction{
		toICMP,
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: replyType, SkipTrue: 7},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: prefixMask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(prefix), SkipTrue: 4},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: loopback, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: ipHeaderLen + headerLen},
		bpf.RetConstant{Val: 0},
	}
}

// receive waits for a message. It returns its length, the index of the interface that it arrived on (0: the kernel did not
// report one) and its source.
func (s rawSocket) receive(buffer []byte) (n, ifindex int, from net.Addr, err error) {
	if s.v4 != nil {
		n, cm, from, err := s.v4.ReadFrom(buffer)
		if cm != nil {
			ifindex = cm.IfIndex
		}
		return n, ifindex, from, err
	}
	n, cm, from, err := s.v6.ReadFrom(buffer)
	if cm != nil {
		ifindex = cm.IfIndex
	}
	return n, ifindex, from, err
}
