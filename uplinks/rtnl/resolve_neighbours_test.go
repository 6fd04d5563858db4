package rtnl_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// Neighbours that answer are known as soon as the last one has; one that does not answer is waited for until
// the end, and has no valid entry.
func TestNeighboursAreResolvedOnceAllAnswer(t *testing.T) {
	w := world.New(t)
	gateway, isp := w.Host("gw"), w.Host("isp")
	var all []egress.LinkAddr
	for i := range 20 {
		link, port := w.Join(gateway, fmt.Sprintf("eth%d", i), isp, fmt.Sprintf("port%d", i))
		link.Addr(fmt.Sprintf("198.19.%d.2/24", i), fmt.Sprintf("2001:db8:%x::2/64", 0x100+i))
		port.Addr(fmt.Sprintf("198.19.%d.1/24", i), "fe80::1/64")
		for _, a := range []string{fmt.Sprintf("198.19.%d.1", i), "fe80::1"} {
			all = append(all, egress.LinkAddr{Link: link.Index, Addr: netip.MustParseAddr(a)})
		}
	}
	silent := egress.LinkAddr{Link: all[0].Link, Addr: netip.MustParseAddr("198.19.0.9")}
	gateway.Do(func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 2 { // the second time all are known
			entries, _, err := rtnl.ResolveNeighbours(ctx, all)
			if err != nil || ctx.Err() != nil || len(entries) != len(all) {
				t.Fatalf("%d entries, %v, %v", len(entries), err, ctx.Err())
			}
			for _, n := range entries {
				if !n.State.Valid() || n.MAC == "" {
					t.Errorf("%v is %s", n.Where(), n.State)
				}
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		entries, _, err := rtnl.ResolveNeighbours(short, []egress.LinkAddr{silent, all[0]})
		if err != nil || short.Err() == nil {
			t.Fatalf("%v, %v", err, short.Err())
		}
		for _, n := range entries {
			if valid := n.State.Valid(); valid != (n.Where() == all[0]) {
				t.Errorf("%v is %s", n.Where(), n.State)
			}
		}
		wantNeighboursInOrder(t, all)
	})
}

// wantNeighboursInOrder wants the entries of the addresses, among such as have none, for more requests than are sent together.
func wantNeighboursInOrder(t *testing.T, all []egress.LinkAddr) {
	t.Helper()
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var asked []egress.LinkAddr
	for _, a := range all {
		asked = append(asked, a, egress.LinkAddr{Link: a.Link, Addr: netip.MustParseAddr("198.51.100.9")}, egress.LinkAddr{Link: 1 << 20, Addr: a.Addr})
	}
	for i, l := range table.Neighbours(asked) {
		want := egress.NeighbourLookup{Neighbour: l.Neighbour, Found: i%3 == 0, Err: l.Err}
		if l != want || (l.Err != nil) != (i%3 == 2) || l.Found && l.Where() != asked[i] {
			t.Errorf("%v: %+v", asked[i], l)
		}
	}
}

func TestRefusalsNameTheFamilyOfTheFullTable(t *testing.T) {
	refused := errors.Join(fmt.Errorf("resolve: %w", errors.New("no such device")), fmt.Errorf("resolve: %w", rtnl.NeighbourTableFull{Family: uplinks.IPv6}))
	if !errors.Is(refused, rtnl.NeighbourTableFull{Family: uplinks.IPv6}) || errors.Is(refused, rtnl.NeighbourTableFull{Family: uplinks.IPv4}) {
		t.Errorf("%v is not only that the table of IPv6 is full", refused)
	}
	if text := refused.Error(); !strings.Contains(text, "net.ipv6.neigh.default.gc_thresh3") {
		t.Errorf("the sysctl is not named: %s", text)
	}
}
