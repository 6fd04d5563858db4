package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connection is an entry of the kernel's connection table.
type Connection struct {
	Original  Flow // as it was begun
	Reply     Flow // as answers come: other addresses than the original's turned round are translations
	Mark      uint32
	State     string        // of TCP; empty for others
	Assured   bool          // it has been seen in both directions for good
	SeenReply bool          // it has been seen in both directions
	Timeout   time.Duration // until it is forgotten if nothing more comes
}

// The bits of a connection's status (linux/netfilter/nf_conntrack_common.h).
const (
	ipsSeenReply = 1 << 1
	ipsAssured   = 1 << 2
)

// tcpStates are their names by number (enum tcp_conntrack).
var tcpStates = []string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// ErrNoConnection is the error of a look-up of a connection that is not there.
var ErrNoConnection = errors.New("there is no such connection")

// FindConnection finds the connection of which this is one direction. It needs CAP_NET_ADMIN.
func FindConnection(f Flow) (c Connection, err error) {
	// The answer says that more will follow, but nothing does: only the acknowledgement ends it.
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_ACK)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: f.family(), Version: nl.NFNETLINK_V0})
	req.AddData(f.tuple())
	msgs, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return c, ErrNoConnection
	case errors.Is(err, unix.EPERM):
		return c, fmt.Errorf("look a connection up: %w: it needs root: run it with sudo", err)
	case err != nil:
		return c, fmt.Errorf("look a connection up: %w", err)
	case len(msgs) == 0 || len(msgs[0]) < nl.SizeofNfgenmsg:
		return c, fmt.Errorf("look a connection up: the kernel gave %d answers", len(msgs))
	}
	return parseConnection(msgs[0][nl.SizeofNfgenmsg:])
}

func parseConnection(m []byte) (c Connection, err error) {
	attrs, err := nl.ParseRouteAttr(m)
	if err != nil {
		return c, fmt.Errorf("read a connection: %w", err)
	}
	for _, a := range attrs {
		v := attrValue(a.Value)
		switch a.Attr.Type & typeMask {
		case nl.CTA_TUPLE_ORIG:
			c.Original = parseTuple(v)
		case nl.CTA_TUPLE_REPLY:
			c.Reply = parseTuple(v)
		case nl.CTA_MARK:
			c.Mark = uint32(v.bigEndian())
		case nl.CTA_STATUS:
			c.SeenReply, c.Assured = v.bigEndian()&ipsSeenReply != 0, v.bigEndian()&ipsAssured != 0
		case nl.CTA_TIMEOUT:
			c.Timeout = time.Duration(v.bigEndian()) * time.Second
		case nl.CTA_PROTOINFO:
			if state := attrValue(findAttr(findAttr(v, nl.CTA_PROTOINFO_TCP), nl.CTA_PROTOINFO_TCP_STATE)); len(state) > 0 {
				c.State = tcpStates[min(int(state.uint8()), len(tcpStates)-1)]
			}
		}
	}
	return c, nil
}

// parseTuple reads a tuple.
func parseTuple(tuple []byte) (f Flow) {
	addresses, proto := findAttr(tuple, ctaIP), findAttr(tuple, ctaProto)
	firstOf := func(attrs []byte, types ...uint16) []byte {
		for _, t := range types {
			if v := findAttr(attrs, t); v != nil {
				return v
			}
		}
		return nil
	}
	port := func(types ...uint16) uint16 {
		v := firstOf(proto, types...)
		if len(v) < 2 {
			return 0
		}
		return binary.BigEndian.Uint16(v)
	}
	from, _ := netip.AddrFromSlice(firstOf(addresses, nl.CTA_IP_V4_SRC, nl.CTA_IP_V6_SRC))
	to, _ := netip.AddrFromSlice(firstOf(addresses, nl.CTA_IP_V4_DST, nl.CTA_IP_V6_DST))
	f.Proto = attrValue(findAttr(proto, ctaProtoNum)).uint8()
	f.From = netip.AddrPortFrom(from, port(ctaSrcPort, ctaIcmpID, ctaIcmp6ID))
	f.To = netip.AddrPortFrom(to, port(ctaDstPort))
	return f
}

// findAttr is the value of an attribute among others, or nil.
func findAttr(attrs []byte, attrType uint16) []byte {
	all, err := nl.ParseRouteAttr(attrs)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(a syscall.NetlinkRouteAttr) bool { return a.Attr.Type&typeMask == attrType })
	if i < 0 {
		return nil
	}
	return all[i].Value
}
