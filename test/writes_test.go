package test

import (
	endian "encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"replypath/test/world"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlinkMonitor hears everything that changes in the routing of a host.
type rtnetlinkMonitor struct {
	box   *box
	fd    int
	fence uint32
}

// monitoredGroups are the groups that links, addresses, routes, rules and interface sysctls are announced to.
var monitoredGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

func (b *box) startMonitor() *rtnetlinkMonitor {
	b.t.Helper()
	l := &rtnetlinkMonitor{box: b, fence: 40000}
	var err error
	b.Gateway.Do(func() {
		l.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { unix.Close(l.fd) })
	err = unix.Bind(l.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	}
	for _, group := range monitoredGroups {
		if err == nil {
			err = unix.SetsockoptInt(l.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// messages are those since the last fence: a rule of our own is announced after all that was done before.
func (l *rtnetlinkMonitor) messages() (all []string) {
	l.box.t.Helper()
	l.fence++
	l.box.Gateway.Run("ip", "rule", "add", "priority", fmt.Sprint(l.fence), "lookup", "main")
	buffer := make([]byte, 1<<16)
	for began := time.Now(); time.Since(began) < 5*time.Second; {
		n, _, err := unix.Recvfrom(l.fd, buffer, 0)
		if err != nil {
			l.box.t.Fatalf("the fence is not announced: %v", err)
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
	l.box.t.Fatal("the fence does not come")
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

// generation is the number of changes to nftables so far.
func (b *box) generation() uint32 {
	b.t.Helper()
	var msgs [][]byte
	var err error
	b.Gateway.Do(func() {
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
		msgs, err = req.Execute(unix.NETLINK_NETFILTER, 0)
	})
	if err != nil || len(msgs) == 0 {
		b.t.Fatalf("ask for the generation: %v", err)
	}
	attrs, err := nl.ParseRouteAttr(msgs[0][4:])
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NFTA_GEN_ID {
			return endian.BigEndian.Uint32(a.Value)
		}
	}
	b.t.Fatal("no generation in the answer")
	return 0
}

// files are those that remember what was found, with their times.
func (b *box) files() string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "state", "found-*.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	text := ""
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil {
			b.t.Fatal(err)
		}
		text += fmt.Sprintln(path, info.ModTime(), info.Size())
	}
	return text
}

func TestNothingIsWrittenWhenInSync(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		l := b.startMonitor()
		l.messages()
		quiet := func(commands ...string) {
			t.Helper()
			generation, files := b.generation(), b.files()
			before := takeSnapshot(b.Gateway)
			for _, command := range commands {
				b.run(command)
			}
			if heard := l.messages(); len(heard) != 0 {
				t.Errorf("%v writes: %q", commands, heard)
			}
			if now := b.generation(); now != generation {
				t.Errorf("%v writes nftables: generation %d, and %d before", commands, now, generation)
			}
			if now := b.files(); now != files {
				t.Errorf("%v writes files: %s, and %s before", commands, now, files)
			}
			delete(before, "rules -4") // the fence's
			before.wantSame(t, fmt.Sprint(commands), b.Gateway)
		}
		quiet("check", "plan", "init", "flush")
		b.apply()
		if heard := l.messages(); len(heard) < 20 {
			t.Errorf("the listener is deaf: it heard %d messages of the first apply", len(heard))
		}
		quiet("apply", "plan", "check", "apply")
		b.must(0, "flush")
		l.messages()
		quiet("flush", "plan")
	})
}
