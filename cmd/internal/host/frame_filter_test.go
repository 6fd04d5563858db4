package host

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// accepts runs the program on a frame. The first two instructions read what a frame does not have, whether it is for this host, and
// are passed over.
func accepts(t *testing.T, program []unix.SockFilter, frame []byte) bool {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, i := range program[4:] {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	instructions, known := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(instructions)
	if err != nil || !known {
		t.Fatalf("the program is not valid: %v", err)
	}
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestFrameFilterDropsKnownRoutersAndHostsOnTheLink(t *testing.T) {
	known := []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:01:00:01"}
	near := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.9/32"), netip.MustParsePrefix("2001:db8::/48"), netip.MustParsePrefix("2001:db8:5:6::/64"), netip.MustParsePrefix("fe80::/10")}
	for _, c := range []struct {
		mac  byte
		from string
		want bool
	}{
		{3, "203.0.113.1", true}, {1, "203.0.113.1", false}, {2, "203.0.113.1", false},
		{3, "192.0.2.99", false}, {3, "192.0.3.99", true}, {3, "198.51.100.9", false}, {3, "198.51.100.8", true},
		{3, "2001:db8:0:1::5", false}, {3, "2001:db8:1::5", true}, {3, "2001:db8:5:6:7::5", false}, {3, "2001:db8:5:7::5", true},
		{3, "fe80::7", false}, {3, "febf::7", false}, {3, "fec0::7", true}, {1, "2001:db8:1::5", false},
	} {
		from := netip.MustParseAddr(c.from)
		frame := make([]byte, networkAt+40)
		copy(frame[sourceMACAt:], []byte{2, 0, 0, 0, 0, c.mac})
		at := sourceIPv4At
		if from.Is6() {
			at = sourceIPv6At
		}
		copy(frame[at:], from.AsSlice())
		ofFamily := slices.DeleteFunc(slices.Clone(near), func(p netip.Prefix) bool { return p.Addr().Is4() != from.Is4() })
		if got := accepts(t, frameFilter(known, ofFamily), frame); got != c.want {
			t.Errorf("from %s by %d: accepted %v, want %v", c.from, c.mac, got, c.want)
		}
	}
}

// The kernel refuses programs of more than 4096 instructions.
func TestFrameFilterIsBounded(t *testing.T) {
	known := slices.Repeat([]string{"02:00:00:00:00:01"}, 1000)
	near := slices.Repeat([]netip.Prefix{netip.MustParsePrefix("2001:db8::5/128")}, 1000)
	if n := len(frameFilter(known, near)); n > 4096 {
		t.Errorf("it has %d instructions", n)
	}
}
