package marks_test

import (
	"fmt"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

const (
	routerA, routerB, routerC = "02:00:00:00:0a:01", "02:00:00:00:0b:01", "02:00:00:00:0c:01"
	unknownRouter             = "02:00:00:00:ff:01"
)

// sharedLink returns links with an uplink each, and one link with the uplinks 2, 3 and 5.
func sharedLink(mask marks.Mask, others int) (all []marks.Ingress) {
	add := func(id int, link string, routers ...string) {
		all = append(all, marks.Ingress{Link: link, Mark: mask.Mark(marks.ID(id)), Routers: routers})
	}
	add(1, "eth0", "02:00:00:00:00:01")
	add(2, "eth1", routerA, "02:00:00:00:0a:02")
	add(3, "eth1", routerB)
	add(5, "eth1", routerC)
	for n := range others {
		add(6+n, fmt.Sprintf("wan%d", n))
	}
	return all
}

func TestRoutersOfOneLinkAreDistinguished(t *testing.T) {
	const mask, group = marks.Mask(0x1f00), 8200
	for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
		for _, others := range []int{0, 3, 20} {
			chains := marks.Layout(backend, mask, group, false, sharedLink(mask, others))
			for _, c := range []struct {
				what, link, mac string
				before, want    marks.ID
			}{
				{"an error about a connection of the second router, by the first", "eth1", routerA, 3, 3},
				{"an error about a connection of the first router, by the third", "eth1", routerC, 2, 2},
				{"an error about a connection of another link, by the third router", "eth1", routerC, 1, 1},
				{"an error about a connection of a router, by a link with one uplink", "eth0", "02:00:00:00:00:01", 3, 3},
				{"an error about a connection without a mark, by a link with one uplink", "eth0", "02:00:00:00:00:01", 0, 1},
				{"the first packet by the second router", "eth1", routerB, 0, 3},
				{"the first packet by the third router", "eth1", routerC, 0, 5},
				{"the first packet by another address of the first router", "eth1", "02:00:00:00:0a:02", 0, 2},
				{"the first packet by an unknown router", "eth1", unknownRouter, 0, 2},
				{"a connection of the second router, by an unknown one", "eth1", unknownRouter, 3, 3},
				{"a connection of the third router, by an unknown one", "eth1", unknownRouter, 5, 5},
				{"a connection of another link, by an unknown router", "eth1", unknownRouter, 1, 2},
				{"a connection of the second router, by the third", "eth1", routerC, 3, 5},
				{"a connection of the second router, by the first", "eth1", routerA, 3, 2},
				{"a link with one uplink", "eth0", routerB, 0, 1},
				{"a connection that moves to a link with one uplink", "eth0", routerB, 5, 1},
			} {
				p := markstest.Packet{In: c.link, MAC: c.mac, Group: group, Dir: "ORIGINAL", Ctmark: uint32(mask.Mark(c.before)) | 1, Fwmark: 0}
				if strings.HasPrefix(c.what, "an error ") {
					p.State = "RELATED"
				}
				got := p.Traverse(chains, marks.Pre)
				if want := uint32(mask.Mark(c.want)) | 1; got.Ctmark != want || got.Fwmark&uint32(mask) != want&uint32(mask) {
					t.Errorf("%s, %d other links: %s: marks %#x and %#x, want %#x", backend, others, c.what, got.Ctmark, got.Fwmark, want)
				}
			}
		}
	}
}

func TestRoutersOfLinkWithOneUplinkChangeNoChain(t *testing.T) {
	const mask = marks.Mask(0x1f00)
	plain := []marks.Ingress{{Link: "eth0", Mark: mask.Mark(1)}, {Link: "eth1", Mark: mask.Mark(2)}}
	named := []marks.Ingress{{Link: "eth0", Mark: mask.Mark(1), Routers: []string{routerA}}, {Link: "eth1", Mark: mask.Mark(2), Routers: []string{routerB}}}
	for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
		if before, after := fmt.Sprint(marks.Layout(backend, mask, 8200, false, plain)), fmt.Sprint(marks.Layout(backend, mask, 8200, false, named)); before != after {
			t.Errorf("%s: %s, want %s", backend, after, before)
		}
	}
}
