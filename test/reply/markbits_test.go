package reply

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Foreign bits in the packet's and in the connection's mark: set before our chains see a packet, and after.
const (
	earlyMark, lateMark         = 0x40000, 0x80000
	earlyCtmark, lateCtmark     = 0x10000, 0x20000
	theirCtmark, ourMark, whole = earlyCtmark | lateCtmark, 0x200, 0xffffffff
)

func TestForeignMarkBitsAreKept(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
		for _, family := range []int{4, 6} {
			// The raw table is before mangle; a connection's mark can be set early only where there is a connection, in a
			// chain above ours.
			b.Iptables(family, "-t", "raw", "-A", "PREROUTING", "-j", "MARK", "--set-xmark", fmt.Sprintf("%#x/%#x", earlyMark, earlyMark))
			b.Iptables(family, "-t", "raw", "-A", "OUTPUT", "-j", "MARK", "--set-xmark", fmt.Sprintf("%#x/%#x", earlyMark, earlyMark))
			b.Iptables(family, "-t", "mangle", "-A", "PREROUTING", "-j", "CONNMARK", "--set-xmark", fmt.Sprintf("%#x/%#x", earlyCtmark, earlyCtmark))
		}
		b.Apply()
		for _, family := range []int{4, 6} {
			b.Iptables(family, "-t", "mangle", "-I", "PREROUTING", "1", "-j", "CONNMARK", "--set-xmark", fmt.Sprintf("%#x/%#x", lateCtmark, lateCtmark))
			b.Iptables(family, "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-xmark", fmt.Sprintf("%#x/%#x", lateMark, lateMark))
			// What the marks are in the end, seen where packets come in and where they leave.
			wants := map[string]int{"INPUT": earlyMark | lateMark | ourMark, "POSTROUTING": earlyMark | ourMark}
			for chain, want := range wants {
				b.Iptables(family, "-t", "mangle", "-A", chain, "-p", "udp", "-m", "mark", "--mark", fmt.Sprintf("%#x/%#x", want, whole),
					"-m", "connmark", "--mark", fmt.Sprintf("%#x/%#x", theirCtmark|ourMark, whole), "-j", "MARK", "--set-xmark", "0x0/0x0")
			}
		}
		p := b.RecordEgress()
		for _, to := range b.Uplinks[1].Addrs() {
			family := box.FamilyOf(to)
			p.WantReplies(t, b.Client, b.Uplinks[1], to, []world.Kind{world.KindUDP})
			for _, chain := range []string{"INPUT", "POSTROUTING"} {
				counts := iptablesCounts(b, family, chain)
				if last := counts[len(counts)-1]; last < 1 {
					t.Errorf("IPv%d: no packet in %s has the bits of all:\n%s", family, chain, b.Iptables(family, "-t", "mangle", "-v", "-S"))
				}
			}
			if got := ctmark(t, b, to); got != theirCtmark|ourMark {
				t.Errorf("the connection to %s has the mark %#x, want %#x", to, got, theirCtmark|ourMark)
			}
		}
	})
}

var markOf = regexp.MustCompile(`mark=(\d+)`)

// ctmark returns the mark of the connection to that address, as conntrack(8) shows it.
func ctmark(t *testing.T, b *box.Box, to netip.Addr) int {
	t.Helper()
	family := map[int]string{4: "ipv4", 6: "ipv6"}[box.FamilyOf(to)]
	listed := b.Gateway.Run("conntrack", "-L", "-f", family, "-p", "udp", "--orig-dst", to.String())
	m := markOf.FindStringSubmatch(listed)
	if m == nil {
		t.Fatalf("no connection to %s: %q", to, listed)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
