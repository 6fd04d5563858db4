package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/spf13/pflag"
)

// packetOptions are the flags that describe a packet.
type packetOptions struct {
	in, out, from, mark, proto, tos string
	sport, dport                    uint16
	uid                             uint32
}

func (f *packetOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.in, "in", "", "the interface `IF` that receives the packet")
	flags.StringVar(&f.out, "out", "", "the interface `IF` that the packet's socket is bound to")
	flags.StringVar(&f.from, "from", "", "the source `ADDRESS`; by default the kernel chooses it")
	flags.StringVar(&f.mark, "mark", "0", "the fwmark `M`, such as 0x200")
	flags.StringVar(&f.proto, "proto", "udp", "the protocol `P`, a name or a number")
	flags.Uint16Var(&f.sport, "sport", 0, "the source port `N`")
	flags.Uint16Var(&f.dport, "dport", 0, "the destination port `N`")
	flags.Uint32Var(&f.uid, "uid", 0, "the user ID `N` of the packet's socket")
	flags.StringVar(&f.tos, "tos", "0", "the type of service `N`, such as 0x10")
}

// packet returns the packet that the flags describe, or errUsage.
func (f *packetOptions) packet(to string) (p rpdb.Packet, err error) {
	if p.To, err = parseAddress(to); err != nil {
		return p, err
	}
	p.Out = f.out
	if zone := p.To.Zone(); zone != "" && p.Out == "" {
		p.Out = zone
	}
	p.To = p.To.WithZone("")
	p.Family, p.In, p.Sport, p.Dport, p.UID = uplinks.FamilyOf(p.To), f.in, f.sport, f.dport, f.uid
	if f.from != "" {
		if p.From, err = parseAddress(f.from); err != nil {
			return p, err
		}
		p.From = p.From.WithZone("")
	}
	if p.Mark, err = parseNumber(f.mark, "mark", 32); err != nil {
		return p, err
	}
	tos, err := parseNumber(f.tos, "tos", 8)
	if err != nil {
		return p, err
	}
	p.TOS = uint8(tos)
	if p.Proto, err = parseProtocol(f.proto, p.Family); err != nil {
		return p, err
	}
	return p, checkPacket(p)
}

// checkPacket returns errUsage for a packet that cannot exist.
func checkPacket(p rpdb.Packet) error {
	for flag, link := range map[string]string{"in": p.In, "out": p.Out} {
		if link == "" {
			continue
		}
		if _, err := net.InterfaceByName(link); err != nil {
			return fmt.Errorf("%w: --%s %s: no such interface", errUsage, flag, link)
		}
	}
	switch {
	case p.From.IsValid() && uplinks.FamilyOf(p.From) != p.Family:
		return fmt.Errorf("%w: --from %s is not of the family of %s", errUsage, p.From, p.To)
	case p.In != "" && !p.From.IsValid():
		return fmt.Errorf("%w: --in requires --from, the source address of the packet", errUsage)
	case p.In != "" && p.Out != "":
		return fmt.Errorf("%w: --in and --out exclude each other: a received packet has no socket", errUsage)
	case p.TOS&3 != 0:
		return fmt.Errorf("%w: --tos %#x: the lowest two bits are ECN, which no rule matches", errUsage, p.TOS)
	case (p.Sport != 0 || p.Dport != 0) && !rpdb.HasPorts(p.Proto):
		return fmt.Errorf("%w: --sport and --dport: the protocol has no ports", errUsage)
	}
	return nil
}

func parseAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return a, fmt.Errorf("%w: %q is not an address", errUsage, text)
	}
	return a.Unmap(), nil
}

func parseNumber(text, flag string, bits int) (uint32, error) {
	n, err := strconv.ParseUint(text, 0, bits)
	if err != nil {
		return 0, fmt.Errorf("%w: --%s %s: use a number of %d bits, such as 0x10", errUsage, flag, text, bits)
	}
	return uint32(n), nil
}

// parseProtocol returns the number of a protocol; icmp means ICMPv6 for IPv6.
func parseProtocol(text string, f uplinks.Family) (uint8, error) {
	if text == "icmp" && f == uplinks.IPv6 {
		return rpdb.ICMPv6, nil
	}
	if n, ok := rpdb.ProtocolNumber(text); ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: --proto %s: use a name, such as udp, or a number from 1 to 255", errUsage, text)
	}
	return uint8(n), nil
}
