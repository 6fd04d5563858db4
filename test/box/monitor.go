package box

import (
	endian "encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlinkEvent is what a message of a listener is about.
type rtnetlinkEvent struct {
	Kind            uint16
	Table, Priority uint32
}

// ParseEvent parses a message that the monitor has printed.
func ParseEvent(t *testing.T, message string) (e rtnetlinkEvent) {
	t.Helper()
	head, text, _ := strings.Cut(message, ": ")
	if _, err := fmt.Sscanf(head, "type %d", &e.Kind); err != nil {
		t.Fatalf("%q: %v", message, err)
	}
	body, err := hex.DecodeString(text)
	if err != nil || len(body) < unix.SizeofRtMsg {
		return e
	}
	attrs, err := nl.ParseRouteAttr(body[unix.SizeofRtMsg:])
	if err != nil {
		return e
	}
	route := e.Kind == unix.RTM_NEWROUTE || e.Kind == unix.RTM_DELROUTE
	rule := e.Kind == unix.RTM_NEWRULE || e.Kind == unix.RTM_DELRULE
	for _, a := range attrs {
		switch {
		case (route || rule) && a.Attr.Type == unix.RTA_TABLE: // FRA_TABLE is the same number
			e.Table = endian.NativeEndian.Uint32(a.Value)
		case rule && a.Attr.Type == nl.FRA_PRIORITY:
			e.Priority = endian.NativeEndian.Uint32(a.Value)
		}
	}
	return e
}

// rtnetlinkMonitor hears everything that changes in the routing of a host.
type rtnetlinkMonitor struct {
	box   *Box
	fd    int
	fence uint32
}

// monitoredGroups are the groups that links, addresses, routes, rules and interface sysctls are announced to.
var monitoredGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

// StartMonitor subscribes to the rtnetlink events of the gateway.
func (b *Box) StartMonitor() *rtnetlinkMonitor {
	b.T.Helper()
	l := &rtnetlinkMonitor{box: b, fence: 40000}
	var err error
	b.Gateway.Do(func() {
		l.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	})
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { unix.Close(l.fd) })
	err = unix.Bind(l.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60})
	}
	for _, group := range monitoredGroups {
		if err == nil {
			err = unix.SetsockoptInt(l.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		}
	}
	if err != nil {
		b.T.Fatal(err)
	}
	return l
}

// Messages returns those since the last fence: a rule of our own is announced after all that was done before.
func (l *rtnetlinkMonitor) Messages() (all []string) {
	l.box.T.Helper()
	l.fence++
	l.box.Gateway.Run("ip", "rule", "add", "priority", fmt.Sprint(l.fence), "lookup", "main")
	buffer := make([]byte, 1<<16)
	for began := time.Now(); time.Since(began) < EventualTimeout; {
		n, _, err := unix.Recvfrom(l.fd, buffer, 0)
		if err != nil {
			l.box.T.Fatalf("the fence is not announced: %v", err)
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofNlMsghdr; {
			length := endian.NativeEndian.Uint32(rest)
			kind, body := endian.NativeEndian.Uint16(rest[4:]), rest[unix.SizeofNlMsghdr:length]
			if kind == unix.RTM_NEWRULE && priority(body) == l.fence {
				return all
			}
			all = append(all, fmt.Sprintf("type %d: %x", kind, body))
			rest = rest[min(int(length+3)&^3, len(rest)):]
		}
	}
	l.box.T.Fatal("the fence does not come")
	return nil
}

func priority(rule []byte) uint32 {
	attrs, err := nl.ParseRouteAttr(rule[unix.SizeofRtMsg:])
	if err != nil {
		return 0
	}
	for _, a := range attrs {
		if a.Attr.Type == nl.FRA_PRIORITY {
			return endian.NativeEndian.Uint32(a.Value)
		}
	}
	return 0
}

// Generation returns the number of changes to nftables so far.
func (b *Box) Generation() uint32 {
	b.T.Helper()
	var msgs [][]byte
	var err error
	b.Gateway.Do(func() {
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
		msgs, err = req.Execute(unix.NETLINK_NETFILTER, 0)
	})
	if err != nil || len(msgs) == 0 {
		b.T.Fatalf("read the generation: %v", err)
	}
	attrs, err := nl.ParseRouteAttr(msgs[0][4:])
	if err != nil {
		b.T.Fatal(err)
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NFTA_GEN_ID {
			return endian.BigEndian.Uint32(a.Value)
		}
	}
	b.T.Fatal("no generation in the answer")
	return 0
}
