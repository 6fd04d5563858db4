package netfilter

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// TraceEvent is a rule, or the policy of a base chain, that a traced packet has matched (meta nftrace, nft-monitor(8)).
type TraceEvent struct {
	Family       uint8 // NFPROTO_* of the table
	Table, Chain string
	Handle       uint64 // of the rule; 0: it is the policy
	Drops        bool
	Accepts      bool
	Flow         TracedFlow // of the packet when it came to the base chain
}

// TracedFlow has the addresses and ports of a packet. Of an ICMP echo the ports are its identifier.
type TracedFlow struct {
	Proto    uint8
	From, To netip.AddrPort
}

// Tracer receives the events of traced packets in the network namespace in which it was opened.
type Tracer struct {
	fd    int
	flows map[uint32]TracedFlow // by the id of a packet
}

// traceGroup is NFNLGRP_NFTRACE (linux/netfilter/nfnetlink.h).
const traceGroup = 9

// OpenTracer subscribes to the events.
func OpenTracer() (*Tracer, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (traceGroup - 1)})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to the traces of nftables: %w", err)
	}
	return &Tracer{fd: fd, flows: map[uint32]TracedFlow{}}, nil
}

// Close ends the subscription.
func (t *Tracer) Close() { unix.Close(t.fd) }

// Events returns the events that have come since the last call, in order. Those of a packet come before its next hook.
func (t *Tracer) Events() (all []TraceEvent) {
	buffer := make([]byte, maxReplySize)
	for {
		n, _, err := unix.Recvfrom(t.fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return all // EAGAIN, or events that were lost
		}
		for m := range Messages(buffer[:n]) {
			if binary.NativeEndian.Uint16(m[4:]) != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE {
				continue
			}
			if e, ok := t.parse(m[unix.SizeofNlMsghdr], m[unix.SizeofNlMsghdr+4:]); ok {
				all = append(all, e)
			}
		}
	}
}

// parse decodes an event, and reports whether it is a rule or a policy. A rule that returns to the calling chain, or the end of a
// chain, is none.
func (t *Tracer) parse(family uint8, attributes []byte) (e TraceEvent, ok bool) {
	id := FindUint32(attributes, unix.NFTA_TRACE_ID)
	if header := nlattr.Find(attributes, unix.NFTA_TRACE_NETWORK_HEADER); header != nil {
		t.flows[id] = parseFlow(header, nlattr.Find(attributes, unix.NFTA_TRACE_TRANSPORT_HEADER))
	}
	e = TraceEvent{Family: family, Table: FindString(attributes, unix.NFTA_TRACE_TABLE), Chain: FindString(attributes, unix.NFTA_TRACE_CHAIN),
		Handle: nlattr.Find(attributes, unix.NFTA_TRACE_RULE_HANDLE).BigEndian(), Flow: t.flows[id]}
	const drop, accept = 0, 1
	switch FindUint32(attributes, unix.NFTA_TRACE_TYPE) {
	case unix.NFT_TRACETYPE_POLICY:
		policy := FindUint32(attributes, unix.NFTA_TRACE_POLICY)
		e.Handle, e.Drops, e.Accepts = 0, policy == drop, policy == accept
		return e, true
	case unix.NFT_TRACETYPE_RULE:
		code := nlattr.Find(nlattr.Find(attributes, unix.NFTA_TRACE_VERDICT), unix.NFTA_VERDICT_CODE)
		e.Drops, e.Accepts = len(code) == 4 && code.BigEndian() == drop, len(code) == 4 && code.BigEndian() == accept
		return e, true
	}
	return e, false
}

// parseFlow decodes the headers of a packet, which may be cut.
func parseFlow(network, transport nlattr.Value) (f TracedFlow) {
	var from, to netip.Addr
	switch {
	case len(network) >= 20 && network[0]>>4 == 4:
		f.Proto = network[9]
		from, to = network[12:16].Addr(), network[16:20].Addr()
	case len(network) >= 40 && network[0]>>4 == 6:
		f.Proto = network[6]
		from, to = network[8:24].Addr(), network[24:40].Addr()
	default:
		return f
	}
	var sport, dport uint16
	if len(transport) >= 8 {
		switch f.Proto {
		case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
			sport, dport = binary.BigEndian.Uint16(transport), binary.BigEndian.Uint16(transport[2:])
		case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
			sport = binary.BigEndian.Uint16(transport[4:])
			dport = sport
		}
	}
	f.From, f.To = netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport)
	return f
}
