package reply

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// packets are sent each way on a connection that has been answered.
const packets = 20

// chainWalk counts our rules that an established packet traverses in one hook: the rules that it is compared with, and those that match
// it, the jump among both.
type chainWalk struct{ compared, matched int }

func (w chainWalk) String() string {
	return fmt.Sprintf("held against %d rules, taken by %d", w.compared, w.matched)
}

func TestEstablishedPacketsTraverseFewRules(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		walks := map[string]chainWalk{}
		for _, n := range []int{2, 31} {
			b := box.New(t, world.ISPs(t, n, world.Options{Spoofable: true}), backend)
			b.Apply()
			for _, forwarded := range []bool{false, true} {
				for _, to := range b.Uplinks[1].Addrs() {
					walked := chainWalks(t, b, to, forwarded)
					wantUnchangedMark(t, b, box.FamilyOf(to), n)
					for hook, w := range walked {
						name := fmt.Sprintf("%s of IPv%d, forwarded %t", hook, box.FamilyOf(to), forwarded)
						if w.compared < 2 || w.matched < 2 || w.compared > 4 || w.matched > 4 {
							t.Errorf("%s with %d uplinks: %s", name, n, w)
						}
						if few, known := walks[name]; known && few != w {
							t.Errorf("%s with %d uplinks: %s; with 2: %s", name, n, w, few)
						}
						walks[name] = w
					}
				}
			}
		}
	})
}

// chainWalks sends packets on an established connection and reads the counters.
func chainWalks(t *testing.T, b *box.Box, to netip.Addr, forwarded bool) map[string]chainWalk {
	t.Helper()
	family, port := box.FamilyOf(to), uint16(5000)
	server, at, passes := b.Gateway, netip.AddrPortFrom(to, box.ServedPort), map[string]int{"PREROUTING": packets, "OUTPUT": packets}
	if forwarded {
		server, port = b.LAN, 5001
		at = netip.AddrPortFrom(map[int]netip.Addr{4: b.LAN4, 6: b.LAN6}[family], box.ServedPort)
		b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--sport", "5001", "-d", to.String(), "-j", "DNAT", "--to", at.Addr().String())
		passes = map[string]int{"PREROUTING": 2 * packets}
	}
	client := netip.AddrPortFrom(b.ClientAddr(to), port)
	b.Echo(b.Connected(server, at, client))
	requester := b.Connected(b.Client, client, netip.AddrPortFrom(to, box.ServedPort))
	send := func() {
		t.Helper()
		if err := box.Exchange(requester); err != nil {
			t.Fatalf("to %s, forwarded %t: %v", to, forwarded, err)
		}
	}
	send()
	b.Settle()
	b.Iptables(family, "-w", "-t", "mangle", "-Z")
	for range packets {
		send()
	}
	b.Settle()
	walks := map[string]chainWalk{}
	for hook, sent := range passes {
		chain := map[string]string{"PREROUTING": "REPLYPATH-PRE", "OUTPUT": "REPLYPATH-OUT"}[hook]
		w := chainWalk{compared: 1, matched: 1} // the jump
		for i, taken := range counts(b, family, chain) {
			w.compared++
			// Others' packets, such as a neighbour's request, have no mark and are taken by none.
			switch {
			case taken == sent:
				w.matched++
			case hook == "PREROUTING" && i == 0 && taken == packets: // the requests
			case taken != 0:
				t.Errorf("rule %d of %s took %d packets of %d", i+1, chain, taken, sent)
			}
		}
		walks[hook] = w
	}
	return walks
}

// wantUnchangedMark wants each request to have matched one rule of REPLYPATH-NEW, that of its link, and with many uplinks
// none to have been dispatched by its link.
func wantUnchangedMark(t *testing.T, b *box.Box, family, uplinks int) {
	t.Helper()
	total := 0
	for _, taken := range counts(b, family, "REPLYPATH-NEW") {
		total += taken
	}
	if total != packets {
		t.Errorf("IPv%d, %d uplinks: the rules of REPLYPATH-NEW took %d packets, want each of the %d requests once", family, uplinks, total, packets)
	}
	if uplinks <= 4 {
		return
	}
	for _, taken := range counts(b, family, "REPLYPATH-N") {
		if taken != 0 {
			t.Errorf("IPv%d, %d uplinks: %d requests of a connection with the right mark were dispatched by their link", family, uplinks, taken)
		}
	}
}

// counts returns the packets that each rule of a chain took.
func counts(b *box.Box, family int, chain string) (counts []int) {
	b.T.Helper()
	if slices.Contains(b.Settings, box.Nftables) {
		return namedCounts(b, family, strings.TrimPrefix(chain, "REPLYPATH-S"))
	}
	return iptablesCounts(b, family, chain)
}

// iptablesCounts returns the packets of each rule of a chain in mangle.
func iptablesCounts(b *box.Box, family int, chain string) (counts []int) {
	b.T.Helper()
	for line := range strings.Lines(b.Iptables(family, "-w", "-t", "mangle", "-v", "-S", chain)) {
		if _, rest, isRule := strings.Cut(line, " -c "); isRule && strings.HasPrefix(line, "-A") {
			var n int
			if _, err := fmt.Sscan(rest, &n); err != nil {
				b.T.Fatalf("%q: %v", line, err)
			}
			counts = append(counts, n)
		}
	}
	return counts
}

// namedCounts returns the packets of the two counters of an uplink that nftables has.
func namedCounts(b *box.Box, family int, id string) (counts []int) {
	b.T.Helper()
	for _, kind := range []string{"seen", "stray"} {
		name := map[int]string{4: "ip-", 6: "ip6-"}[family] + kind + id
		text := b.Gateway.Run("nft", "list", "counter", "inet", "replypath", name)
		var n int
		if _, err := fmt.Sscanf(text[strings.Index(text, "packets"):], "packets %d", &n); err != nil {
			b.T.Fatalf("%q: %v", text, err)
		}
		counts = append(counts, n)
	}
	return counts
}
