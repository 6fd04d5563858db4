package rtnl

import (
	"syscall"
	"testing"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// event returns a message as the kernel sends it to subscribers.
func event(kind, flags uint16, data string) syscall.NetlinkMessage {
	return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind, Flags: flags}, Data: []byte(data)}
}

// Messages without attributes: link 2, which is up; an address of it; a unicast route in main; a nexthop object.
const (
	linkHeader          = "\x00\x00\x01\x00\x02\x00\x00\x00\x43\x10\x01\x00\x00\x00\x00\x00"
	addressHeader       = "\x0a\x40\x00\x00\x02\x00\x00\x00"
	routeHeader         = "\x02\x00\x00\x00\xfe\x04\x00\x01\x00\x00\x00\x00"
	netconfHeader       = "\x02\x00\x00\x00"
	nexthopObjectHeader = "\x02\x00\x00\x00\x00\x00\x00\x00"
	nameAttr            = "\x09\x00\x03\x00eth0\x00\x00\x00\x00"
	oifAttr             = "\x08\x00\x04\x00\x02\x00\x00\x00"
	nexthopAttr         = "\x08\x00\x1e\x00\x07\x00\x00\x00"
	nexthopIDAttr       = "\x08\x00\x01\x00\x07\x00\x00\x00"
)

// An event that cannot be decoded concerns the whole host.
func TestMalformedEventHasUnknownScope(t *testing.T) {
	link2, wholeHost := uplinks.ChangedScope{Link: 2}, uplinks.ChangedScope{}
	for _, c := range []struct {
		name    string
		event   syscall.NetlinkMessage
		subject string
		scope   uplinks.ChangedScope
		link    uplinks.LinkState
	}{
		{"a link", event(unix.RTM_NEWLINK, 0, linkHeader+nameAttr), "link", link2, uplinks.LinkState{Name: "eth0", Up: true, Carrier: true}},
		{"a link that goes", event(unix.RTM_DELLINK, 0, linkHeader+nameAttr), "link", link2, uplinks.LinkState{Name: "eth0"}},
		{"a bridge's port", event(unix.RTM_NEWLINK, 0, "\x07"+linkHeader[1:]+nameAttr), "link", link2, uplinks.LinkState{}},
		{"a bridge's port that goes", event(unix.RTM_DELLINK, 0, "\x07"+linkHeader[1:]+nameAttr), "link", link2, uplinks.LinkState{}},
		{"IPv6 on a link goes", event(unix.RTM_DELLINK, 0, "\x0a"+linkHeader[1:]+nameAttr), "link", link2, uplinks.LinkState{}},
		{"a link that is cut off", event(unix.RTM_NEWLINK, 0, linkHeader[:8]), "link", wholeHost, uplinks.LinkState{}},
		{"a link whose name is cut off", event(unix.RTM_NEWLINK, 0, linkHeader+nameAttr[:7]), "link", link2, uplinks.LinkState{Up: true, Carrier: true}},
		{"an address", event(unix.RTM_NEWADDR, 0, addressHeader), "address", link2, uplinks.LinkState{}},
		{"an address that is cut off", event(unix.RTM_DELADDR, 0, addressHeader[:3]), "address", wholeHost, uplinks.LinkState{}},
		{"a default route", event(unix.RTM_NEWROUTE, 0, routeHeader+oifAttr), "route", link2, uplinks.LinkState{}},
		{"one in the place of another", event(unix.RTM_NEWROUTE, unix.NLM_F_REPLACE, routeHeader+oifAttr), "route", wholeHost, uplinks.LinkState{}},
		{"one whose link is cut off", event(unix.RTM_NEWROUTE, 0, routeHeader+oifAttr[:6]), "route", wholeHost, uplinks.LinkState{}},
		{"a route that is cut off", event(unix.RTM_DELROUTE, 0, routeHeader[:5]), "route", wholeHost, uplinks.LinkState{}},
		{"a default route by an object", event(unix.RTM_NEWROUTE, 0, routeHeader+nexthopAttr), "route", wholeHost, uplinks.LinkState{}},
		{"the object", event(rtmDelNexthop, 0, nexthopObjectHeader+nexthopIDAttr), "route", wholeHost, uplinks.LinkState{}},
		{"another of its number", event(rtmNewNexthop, 0, nexthopObjectHeader+nexthopIDAttr), "", wholeHost, uplinks.LinkState{}},
		{"an object that is cut off", event(rtmNewNexthop, 0, nexthopObjectHeader[:3]), "", wholeHost, uplinks.LinkState{}},
		{"sysctls of a link", event(unix.RTM_NEWNETCONF, 0, netconfHeader+"\x08\x00\x01\x00\x02\x00\x00\x00"), "sysctl", link2, uplinks.LinkState{}},
		{"sysctls of a link that goes", event(unix.RTM_DELNETCONF, 0, netconfHeader+"\x08\x00\x01\x00\x02\x00\x00\x00"), "sysctl", link2, uplinks.LinkState{}},
		{"sysctls of all links", event(unix.RTM_NEWNETCONF, 0, netconfHeader+"\x08\x00\x01\x00\xff\xff\xff\xff"), "sysctl", wholeHost, uplinks.LinkState{}},
		{"sysctls of later links", event(unix.RTM_NEWNETCONF, 0, netconfHeader+"\x08\x00\x01\x00\xfe\xff\xff\xff"), "sysctl", wholeHost, uplinks.LinkState{}},
		{"sysctls of a link that is cut off", event(unix.RTM_NEWNETCONF, 0, netconfHeader+"\x08\x00\x01\x00\x02"), "sysctl", wholeHost, uplinks.LinkState{}},
		{"a neighbour", event(unix.RTM_NEWNEIGH, 0, addressHeader), "", wholeHost, uplinks.LinkState{}},
		{"an unknown message", event(4711, 0, ""), "", wholeHost, uplinks.LinkState{}},
	} {
		var h Handle
		h.trackedNexthops.Store(uint32(7), true)
		if c.name == "another of its number" {
			h.classify(event(rtmDelNexthop, 0, nexthopObjectHeader+nexthopIDAttr))
		}
		if subject, scope := h.classify(c.event); subject != c.subject || scope != c.scope {
			t.Errorf("%s: %q at %v, want %q at %v", c.name, subject, scope, c.subject, c.scope)
		}
		if state := linkStateOf(c.event); state != c.link {
			t.Errorf("%s: the link is %+v, want %+v", c.name, state, c.link)
		}
	}
}

func FuzzClassifyEvent(f *testing.F) {
	for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELROUTE,
		unix.RTM_NEWRULE, unix.RTM_NEWNETCONF, rtmNewNexthop, rtmDelNexthop, unix.RTM_NEWNEIGH} {
		for _, data := range []string{linkHeader + nameAttr, addressHeader, routeHeader + oifAttr + nexthopAttr, nexthopObjectHeader + nexthopIDAttr} {
			f.Add(kind, uint16(0), []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, kind, flags uint16, data []byte) {
		h := Handle{}
		h.SetTableBase(uplinks.DefaultTableBase)
		m := event(kind, flags, string(data))
		subject, scope := h.classify(m)
		if subject == "" && scope != (uplinks.ChangedScope{}) || scope.Link != 0 && scope.Table != 0 {
			t.Errorf("%q at %+v", subject, scope)
		}
		if state := linkStateOf(m); state.Name != "" && subject != "link" {
			t.Errorf("%q has the link state %+v", subject, state)
		}
	})
}

// The kernel's own routes in the table local follow addresses and links. All others may change where replies go.
func TestKernelsLocalRoutesAreNoForeignChange(t *testing.T) {
	byProgram := event(unix.RTM_DELROUTE, 0, "\x02\x20\x00\x00\xff\x02\x00\x02\x00\x00\x00\x00")
	byProgram.Header.Pid = 4711
	for name, c := range map[string]struct {
		event syscall.NetlinkMessage
		want  string
	}{
		"deleted by a program":           {byProgram, "route"},
		"of an address":                  {event(unix.RTM_NEWROUTE, 0, "\x0a\x80\x00\x00\xff\x02\x00\x02\x00\x00\x00\x00"), ""},
		"of a link that goes":            {event(unix.RTM_DELROUTE, 0, "\x0a\x08\x00\x00\xff\x02\x00\x05\x00\x00\x00\x00"), ""},
		"local, of another program":      {event(unix.RTM_NEWROUTE, 0, "\x02\x18\x00\x00\xff\x03\x00\x02\x00\x00\x00\x00"), "route"},
		"of the kernel in another table": {event(unix.RTM_NEWROUTE, 0, "\x02\x18\x00\x00\x4d\x02\x00\x01\x00\x00\x00\x00"), "route"},
		"cut off":                        {event(unix.RTM_NEWROUTE, 0, "\x02\x18\x00\x00\xff"), "route"},
		"a queueing discipline":          {event(unix.RTM_NEWQDISC, 0, ""), "traffic control"},
		"a neighbour":                    {event(unix.RTM_NEWNEIGH, 0, addressHeader), ""},
	} {
		if got := foreignSubject(c.event); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
