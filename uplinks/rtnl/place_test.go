package rtnl

import (
	"syscall"
	"testing"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// event is a message as it is told to all.
func event(kind, flags uint16, data string) syscall.NetlinkMessage {
	return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind, Flags: flags}, Data: []byte(data)}
}

// The beginnings of events: of link 2, which is up, of an address of it, of a unicast route in main, and of a nexthop object.
const (
	linkBegins    = "\x00\x00\x01\x00\x02\x00\x00\x00\x43\x10\x01\x00\x00\x00\x00\x00"
	addressBegins = "\x0a\x40\x00\x00\x02\x00\x00\x00"
	routeBegins   = "\x02\x00\x00\x00\xfe\x04\x00\x01\x00\x00\x00\x00"
	objectBegins  = "\x02\x00\x00\x00\x00\x00\x00\x00"
	named         = "\x09\x00\x03\x00eth0\x00\x00\x00\x00"
	byLink2       = "\x08\x00\x04\x00\x02\x00\x00\x00"
	byObject7     = "\x08\x00\x1e\x00\x07\x00\x00\x00"
	numbered7     = "\x08\x00\x01\x00\x07\x00\x00\x00"
)

// What cannot be understood may be anywhere.
func TestAnOddEventMayBeAnywhere(t *testing.T) {
	link2, anywhere := uplinks.Place{Link: 2}, uplinks.Place{}
	for _, c := range []struct {
		says  string
		event syscall.NetlinkMessage
		what  string
		at    uplinks.Place
		link  uplinks.LinkState
	}{
		{"a link", event(unix.RTM_NEWLINK, 0, linkBegins+named), "link", link2, uplinks.LinkState{Name: "eth0", Up: true, Carrier: true}},
		{"a link that goes", event(unix.RTM_DELLINK, 0, linkBegins+named), "link", link2, uplinks.LinkState{Name: "eth0"}},
		{"a bridge's port", event(unix.RTM_NEWLINK, 0, "\x07"+linkBegins[1:]+named), "link", link2, uplinks.LinkState{}},
		{"a bridge's port that goes", event(unix.RTM_DELLINK, 0, "\x07"+linkBegins[1:]+named), "link", link2, uplinks.LinkState{}},
		{"IPv6 on a link goes", event(unix.RTM_DELLINK, 0, "\x0a"+linkBegins[1:]+named), "link", link2, uplinks.LinkState{}},
		{"a link that is cut off", event(unix.RTM_NEWLINK, 0, linkBegins[:8]), "link", anywhere, uplinks.LinkState{}},
		{"a link whose name is cut off", event(unix.RTM_NEWLINK, 0, linkBegins+named[:7]), "link", link2, uplinks.LinkState{Up: true, Carrier: true}},
		{"an address", event(unix.RTM_NEWADDR, 0, addressBegins), "address", link2, uplinks.LinkState{}},
		{"an address that is cut off", event(unix.RTM_DELADDR, 0, addressBegins[:3]), "address", anywhere, uplinks.LinkState{}},
		{"a default route", event(unix.RTM_NEWROUTE, 0, routeBegins+byLink2), "route", link2, uplinks.LinkState{}},
		{"one in the place of another", event(unix.RTM_NEWROUTE, unix.NLM_F_REPLACE, routeBegins+byLink2), "route", anywhere, uplinks.LinkState{}},
		{"one whose link is cut off", event(unix.RTM_NEWROUTE, 0, routeBegins+byLink2[:6]), "route", anywhere, uplinks.LinkState{}},
		{"a route that is cut off", event(unix.RTM_DELROUTE, 0, routeBegins[:5]), "route", anywhere, uplinks.LinkState{}},
		{"a default route by an object", event(unix.RTM_NEWROUTE, 0, routeBegins+byObject7), "route", anywhere, uplinks.LinkState{}},
		{"the object", event(delNexthop, 0, objectBegins+numbered7), "route", anywhere, uplinks.LinkState{}},
		{"another of its number", event(newNexthop, 0, objectBegins+numbered7), "", anywhere, uplinks.LinkState{}},
		{"an object that is cut off", event(newNexthop, 0, objectBegins[:3]), "", anywhere, uplinks.LinkState{}},
		{"a neighbour", event(unix.RTM_NEWNEIGH, 0, addressBegins), "", anywhere, uplinks.LinkState{}},
		{"what there is no word for", event(4711, 0, ""), "", anywhere, uplinks.LinkState{}},
	} {
		var h Handle
		h.objects.Store(uint32(7), true)
		if c.says == "another of its number" {
			h.concern(event(delNexthop, 0, objectBegins+numbered7))
		}
		if what, at := h.concern(c.event); what != c.what || at != c.at {
			t.Errorf("%s: %q at %v, want %q at %v", c.says, what, at, c.what, c.at)
		}
		if is := linkState(c.event); is != c.link {
			t.Errorf("%s: the link is %+v, want %+v", c.says, is, c.link)
		}
	}
}

func FuzzEvents(f *testing.F) {
	for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELROUTE,
		unix.RTM_NEWRULE, unix.RTM_NEWNETCONF, newNexthop, delNexthop, unix.RTM_NEWNEIGH} {
		for _, data := range []string{linkBegins + named, addressBegins, routeBegins + byLink2 + byObject7, objectBegins + numbered7} {
			f.Add(kind, uint16(0), []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, kind, flags uint16, data []byte) {
		h := Handle{}
		h.LookAt(uplinks.DefaultTableBase)
		m := event(kind, flags, string(data))
		what, at := h.concern(m)
		if what == "" && at != (uplinks.Place{}) || at.Link != 0 && at.Table != 0 {
			t.Errorf("%q at %+v", what, at)
		}
		if is := linkState(m); is.Name != "" && what != "link" {
			t.Errorf("%q tells that a link is %+v", what, is)
		}
	})
}
