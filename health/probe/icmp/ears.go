package icmp

import (
	"net"

	"replypath/uplinks"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ears is a raw ICMP socket that tells where what it hears came in.
type ears struct {
	net.PacketConn
	v4 *ipv4.PacketConn
	v6 *ipv6.PacketConn
}

// listen hears the echo replies of a family whose identifiers have this prefix.
func listen(f uplinks.Family, prefix uint16) (e ears, err error) {
	network, any := "ip4:icmp", "0.0.0.0"
	if f == uplinks.IPv6 {
		network, any = "ip6:ipv6-icmp", "::"
	}
	if e.PacketConn, err = net.ListenPacket(network, any); err != nil {
		return e, err
	}
	if err = e.prepare(f, prefix); err != nil {
		e.Close()
	}
	return e, err
}

func (e *ears) prepare(f uplinks.Family, prefix uint16) error {
	if f == uplinks.IPv4 {
		e.v4 = ipv4.NewPacketConn(e.PacketConn)
		program, err := bpf.Assemble(filter(prefix, uint32(ipv4.ICMPTypeEchoReply), bpf.LoadMemShift{Off: 0}, ipv4.HeaderLen))
		if err != nil {
			return err
		}
		if err := e.v4.SetBPF(program); err != nil {
			return err
		}
		return e.v4.SetControlMessage(ipv4.FlagInterface, true)
	}
	e.v6 = ipv6.NewPacketConn(e.PacketConn)
	program, err := bpf.Assemble(filter(prefix, uint32(ipv6.ICMPTypeEchoReply), bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, 0))
	if err != nil {
		return err
	}
	if err := e.v6.SetBPF(program); err != nil {
		return err
	}
	return e.v6.SetControlMessage(ipv6.FlagInterface, true)
}

// loopback is the index of lo in every network namespace.
const loopback = 1

// filter lets echo replies pass whose identifier begins with the prefix. Of what came by lo no more than its ICMP header
// passes: of what the host answers itself the kernel tells the link that has the address, as if it had come in there. The
// instruction to begin with finds where the ICMP message begins: IPv4's raw sockets show the filter the IP header, of so
// many octets, too; IPv6's do not.
func filter(prefix uint16, reply uint32, begin bpf.Instruction, header uint32) []bpf.Instruction {
	const upper = uint32(0xffff) &^ idMask
	return []bpf.Instruction{
		begin,
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: reply, SkipTrue: 7},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: upper},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(prefix), SkipTrue: 4},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: loopback, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: header + headerSize},
		bpf.RetConstant{Val: 0},
	}
}

// hear waits for a message and tells the index of the link that it came in on, or 0 if the kernel did not say.
func (e ears) hear(buffer []byte) (n, index int, from net.Addr, err error) {
	if e.v4 != nil {
		n, cm, from, err := e.v4.ReadFrom(buffer)
		if cm != nil {
			index = cm.IfIndex
		}
		return n, index, from, err
	}
	n, cm, from, err := e.v6.ReadFrom(buffer)
	if cm != nil {
		index = cm.IfIndex
	}
	return n, index, from, err
}
