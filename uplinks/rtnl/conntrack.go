package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Flow is one direction of a connection.
type Flow struct {
	Proto    uint8          // IPPROTO_*
	From, To netip.AddrPort // the port of From is the identifier of an ICMP echo
}

// String returns the flow as examples show it.
func (f Flow) String() string { return fmt.Sprintf("protocol %d from %s to %s", f.Proto, f.From, f.To) }

// Attributes of a connection that the library does not define (linux/netfilter/nfnetlink_conntrack.h).
const (
	ctaIP       = 1
	ctaProto    = 2
	ctaProtoNum = 1
	ctaSrcPort  = 2
	ctaDstPort  = 3
	ctaIcmpID   = 4 // followed by type and code; ICMPv6 has the next three numbers
	ctaIcmp6ID  = 7
)

// DeleteConnections deletes connections from the conntrack table, each by its original direction. A connection that is not there is no
// error. The others are deleted even when one fails.
func DeleteConnections(flows []Flow) error {
	if len(flows) == 0 {
		return nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open a conntrack socket: %w", err)
	}
	defer socket.Close()
	var errs []error
	for _, f := range flows {
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}
		req.AddData(&nl.Nfgenmsg{NfgenFamily: f.family(), Version: nl.NFNETLINK_V0})
		req.AddData(f.tuple())
		if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("delete the connection from %s to %s: %w", f.From, f.To, err))
		}
	}
	return errors.Join(errs...)
}

func (f Flow) family() uint8 {
	if f.To.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// tuple returns the flow as the attribute CTA_TUPLE_ORIG.
func (f Flow) tuple() *nl.RtAttr {
	src, dst := nl.CTA_IP_V4_SRC, nl.CTA_IP_V4_DST
	if !f.To.Addr().Is4() {
		src, dst = nl.CTA_IP_V6_SRC, nl.CTA_IP_V6_DST
	}
	tuple := nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, nil)
	ip := tuple.AddRtAttr(unix.NLA_F_NESTED|ctaIP, nil)
	ip.AddRtAttr(src, f.From.Addr().AsSlice())
	ip.AddRtAttr(dst, f.To.Addr().AsSlice())
	proto := tuple.AddRtAttr(unix.NLA_F_NESTED|ctaProto, nil)
	proto.AddRtAttr(ctaProtoNum, []byte{f.Proto})
	port := func(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
	icmp := func(id int, kind byte) {
		proto.AddRtAttr(id, port(f.From.Port()))
		proto.AddRtAttr(id+1, []byte{kind})
		proto.AddRtAttr(id+2, []byte{0})
	}
	switch f.Proto {
	case unix.IPPROTO_ICMP:
		icmp(ctaIcmpID, 8)
	case unix.IPPROTO_ICMPV6:
		icmp(ctaIcmp6ID, 128)
	default:
		proto.AddRtAttr(ctaSrcPort, port(f.From.Port()))
		proto.AddRtAttr(ctaDstPort, port(f.To.Port()))
	}
	return tuple
}
