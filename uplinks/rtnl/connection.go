package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"replypath/marks"
	"replypath/marks/nlattr"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connection is an entry of the conntrack table.
type Connection struct {
	Original  Flow // the direction of its first packet
	Reply     Flow // the expected direction of replies: the reverse of Original, after NAT
	Mark      uint32
	State     string        // the TCP state; empty for other protocols
	Offloaded bool          // it is in a flow table
	Assured   bool          // packets were seen in both directions, and the handshake is complete
	SeenReply bool          // a packet of the reply direction was seen
	Timeout   time.Duration // the remaining time until the entry expires
}

// TranslatesSource reports whether the source address is translated: replies are addressed to another than the sender.
func (c Connection) TranslatesSource() bool { return c.Reply.To.Addr() != c.Original.From.Addr() }

// ipsSeenReply is a bit of a connection's status, IPS_SEEN_REPLY (linux/netfilter/nf_conntrack_common.h).
const ipsSeenReply = 1 << 1

// tcpStates has the names of the TCP states by number (enum tcp_conntrack).
var tcpStates = []string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// ErrNoConnection is the error of FindConnection when conntrack has no such connection.
var ErrNoConnection = errors.New("there is no such connection")

// FindConnection returns the connection that has the flow as its original direction. It needs CAP_NET_ADMIN.
func FindConnection(f Flow) (c Connection, err error) {
	// The answer has NLM_F_MULTI although nothing follows: only the acknowledgement ends it.
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_ACK)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: f.family(), Version: nl.NFNETLINK_V0})
	req.AddData(f.tuple())
	msgs, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return c, ErrNoConnection
	case errors.Is(err, unix.EPERM):
		return c, fmt.Errorf("look up the connection: %w: this needs root: use sudo", err)
	case err != nil:
		return c, fmt.Errorf("look up the connection: %w", err)
	case len(msgs) == 0 || len(msgs[0]) < nl.SizeofNfgenmsg:
		return c, fmt.Errorf("look up the connection: the kernel sent %d answers", len(msgs))
	}
	return parseConnection(msgs[0][nl.SizeofNfgenmsg:]), nil
}

// parseConnection decodes the attributes of a connection (linux/netfilter/nfnetlink_conntrack.h).
func parseConnection(m []byte) (c Connection) {
	for attrType, v := range nlattr.All(m) {
		switch attrType {
		case nl.CTA_TUPLE_ORIG:
			c.Original = parseTuple(v)
		case nl.CTA_TUPLE_REPLY:
			c.Reply = parseTuple(v)
		case nl.CTA_MARK:
			c.Mark = uint32(v.BigEndian())
		case nl.CTA_STATUS:
			c.SeenReply, c.Assured = v.BigEndian()&ipsSeenReply != 0, v.BigEndian()&marks.ConnAssured != 0
			c.Offloaded = v.BigEndian()&marks.ConnOffloaded != 0
		case nl.CTA_TIMEOUT:
			c.Timeout = time.Duration(v.BigEndian()) * time.Second
		case nl.CTA_PROTOINFO:
			if state := nlattr.Find(nlattr.Find(v, nl.CTA_PROTOINFO_TCP), nl.CTA_PROTOINFO_TCP_STATE); len(state) > 0 {
				c.State = tcpStates[min(int(state.Uint8()), len(tcpStates)-1)]
			}
		}
	}
	return c
}

// parseTuple decodes one direction of a connection (CTA_TUPLE_*).
func parseTuple(tuple []byte) Flow {
	addresses, proto := nlattr.Find(tuple, ctaIP), nlattr.Find(tuple, ctaProto)
	firstOf := func(attrs []byte, types ...uint16) nlattr.Value {
		for _, t := range types {
			if v := nlattr.Find(attrs, t); v != nil {
				return v
			}
		}
		return nil
	}
	addr := func(types ...uint16) netip.Addr { return firstOf(addresses, types...).Addr() }
	port := func(types ...uint16) uint16 { return uint16(firstOf(proto, types...).BigEndian()) }
	return Flow{
		Proto: nlattr.Find(proto, ctaProtoNum).Uint8(),
		From:  netip.AddrPortFrom(addr(nl.CTA_IP_V4_SRC, nl.CTA_IP_V6_SRC), port(ctaSrcPort, ctaIcmpID, ctaIcmp6ID)),
		To:    netip.AddrPortFrom(addr(nl.CTA_IP_V4_DST, nl.CTA_IP_V6_DST), port(ctaDstPort)),
	}
}
