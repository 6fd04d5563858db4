package marks_test

import (
	"fmt"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

// The mark that a packet has when it comes in by a shared link is that of its router, whatever the rules know of the frame's sender. One
// that no rule takes does not route the packet, and elsewhere the bits are as without a classifier.
func TestMarksOfClassifiedPacketsWin(t *testing.T) {
	const mask, group = wideMask, 8200
	for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
		for _, others := range []int{0, 3, 20} {
			for _, tree := range []bool{false, true} {
				ingress := sharedLink(mask, others)
				for i := range ingress {
					ingress[i].Classified = ingress[i].Link == "eth1"
				}
				if tree {
					for n := range marks.MaxLinear + 1 {
						mac := fmt.Sprintf("02:00:00:00:0f:%02x", n)
						ingress = append(ingress, marks.Ingress{Link: "eth1", Mark: wideMask.Mark(marks.ID(100 + n)), Routers: []string{mac}, Tree: true})
					}
				}
				chains := marks.Layout(backend, mask, group, false, ingress)
				for _, c := range []struct {
					what, link, mac, dir, state string
					mark, before, want          marks.ID // of the packet, of the connection, of both then
				}{
					{"the first packet by an unknown router", "eth1", unknownRouter, "ORIGINAL", "", 3, 0, 3},
					{"a packet by a router that had another one's address", "eth1", routerA, "ORIGINAL", "", 3, 0, 3},
					{"a connection of the router before", "eth1", routerB, "ORIGINAL", "", 2, 3, 2},
					{"a connection of another link", "eth1", routerB, "ORIGINAL", "", 5, 1, 5},
					{"the mark of an uplink on another link", "eth1", routerB, "ORIGINAL", "", 1, 0, 3},
					{"the mark of no uplink", "eth1", routerB, "ORIGINAL", "", 31, 0, 3},
					{"another link", "eth0", routerB, "ORIGINAL", "", 3, 0, 1},
					{"an error about a connection", "eth1", routerC, "ORIGINAL", "RELATED", 5, 2, 2},
					{"a reply of a connection", "eth1", routerC, "REPLY", "", 5, 2, 2},
					{"a reply of a connection without a mark", "eth1", routerC, "REPLY", "", 5, 0, 0},
					{"a reply without a mark by another link", "eth0", routerC, "REPLY", "", 5, 0, 5},
				} {
					const foreign = 0x80000001
					p := markstest.Packet{In: c.link, MAC: c.mac, Group: group, Dir: c.dir, State: c.state,
						Ctmark: uint32(mask.Mark(c.before)) | 1, Fwmark: uint32(mask.Mark(c.mark)) | foreign}
					got := p.Traverse(chains, marks.Pre)
					want := uint32(mask.Mark(c.want))
					if ct := got.Ctmark &^ 1; got.Fwmark != want|foreign || ct != want && !(c.link == "eth0" && c.dir == "REPLY") || got.Ctmark&1 == 0 {
						t.Errorf("%s, %d other links, a tree %t: %s: marks %#x of the connection and %#x of the packet, want %#x", backend, others, tree, c.what, got.Ctmark, got.Fwmark, want)
					}
				}
			}
		}
	}
}
