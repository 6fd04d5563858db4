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
	Original Flow // as it was begun
	Reply    Flow // as answers come: other addresses than the original's turned round are translations
	Mark     uint32
	State    string        // of TCP; empty for others
	Assured  bool          // it has been seen in both directions for good
	Answered bool          // it has been seen in both directions
	Timeout  time.Duration // until it is forgotten if nothing more comes
}

// The bits of a connection's status (linux/netfilter/nf_conntrack_common.h).
const (
	seenReply = 1 << 1
	assured   = 1 << 2
)

// tcpStates are their names by number (enum tcp_conntrack).
var tcpStates = []string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// ErrNoConnection is the error of a look-up of a connection that is not there.
var ErrNoConnection = errors.New("there is no such connection")

// Find finds the connection of which this is one direction. It needs CAP_NET_ADMIN.
func Find(f Flow) (c Connection, err error) {
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
	return connection(msgs[0][nl.SizeofNfgenmsg:])
}

func connection(m []byte) (c Connection, err error) {
	attrs, err := nl.ParseRouteAttr(m)
	if err != nil {
		return c, fmt.Errorf("read a connection: %w", err)
	}
	for _, a := range attrs {
		v := value(a.Value)
		switch a.Attr.Type & typeMask {
		case nl.CTA_TUPLE_ORIG:
			c.Original = flow(v)
		case nl.CTA_TUPLE_REPLY:
			c.Reply = flow(v)
		case nl.CTA_MARK:
			c.Mark = uint32(v.network())
		case nl.CTA_STATUS:
			c.Answered, c.Assured = v.network()&seenReply != 0, v.network()&assured != 0
		case nl.CTA_TIMEOUT:
			c.Timeout = time.Duration(v.network()) * time.Second
		case nl.CTA_PROTOINFO:
			if state := value(inside(inside(v, nl.CTA_PROTOINFO_TCP), nl.CTA_PROTOINFO_TCP_STATE)); len(state) > 0 {
				c.State = tcpStates[min(int(state.byte()), len(tcpStates)-1)]
			}
		}
	}
	return c, nil
}

// flow reads a tuple.
func flow(tuple []byte) (f Flow) {
	addresses, proto := inside(tuple, ctaIP), inside(tuple, ctaProto)
	either := func(attrs []byte, types ...uint16) []byte {
		for _, t := range types {
			if v := inside(attrs, t); v != nil {
				return v
			}
		}
		return nil
	}
	port := func(types ...uint16) uint16 {
		v := either(proto, types...)
		if len(v) < 2 {
			return 0
		}
		return binary.BigEndian.Uint16(v)
	}
	from, _ := netip.AddrFromSlice(either(addresses, nl.CTA_IP_V4_SRC, nl.CTA_IP_V6_SRC))
	to, _ := netip.AddrFromSlice(either(addresses, nl.CTA_IP_V4_DST, nl.CTA_IP_V6_DST))
	f.Proto = value(inside(proto, ctaProtoNum)).byte()
	f.From = netip.AddrPortFrom(from, port(ctaSrcPort, ctaIcmpID, ctaIcmp6ID))
	f.To = netip.AddrPortFrom(to, port(ctaDstPort))
	return f
}

// inside is the value of an attribute among others, or nil.
func inside(attrs []byte, kind uint16) []byte {
	all, err := nl.ParseRouteAttr(attrs)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(a syscall.NetlinkRouteAttr) bool { return a.Attr.Type&typeMask == kind })
	if i < 0 {
		return nil
	}
	return all[i].Value
}
