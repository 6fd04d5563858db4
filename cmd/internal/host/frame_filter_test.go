package host

import (
	"encoding/binary"
	"fmt"
	"net"
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

// Frames from a group's address, which no host has, are dropped: a reply to it would reach many.
func TestFrameFilterDropsSendersThatAreGroups(t *testing.T) {
	for _, mac := range [][]byte{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x33, 0x33, 0, 0, 0, 1}, {1, 0, 0x5e, 0, 0, 1}} {
		frame := make([]byte, networkAt+40)
		copy(frame[sourceMACAt:], mac)
		if accepts(t, frameFilter(nil, nil), frame) {
			t.Errorf("a frame from %x is accepted", mac)
		}
	}
}

// With 250 routers each of them is dropped, and no other one, after a few comparisons: in order, at random, and those that differ in
// their first bytes alone.
func TestFrameFilterOfManyRoutersComparesFew(t *testing.T) {
	for name, form := range map[string]string{"of one maker": "02:00:00:0c:00:%02x", "of many": "02:%02x:00:0c:00:01", "between": "02:00:%02x:0c:00:01"} {
		var known []string
		for i := range 250 {
			known = append(known, fmt.Sprintf(form, (i*37)%251))
		}
		program, most := frameFilter(known, nil), 0
		for i := range 256 {
			mac, err := net.ParseMAC(fmt.Sprintf(form, i))
			if err != nil {
				t.Fatal(err)
			}
			frame := make([]byte, networkAt+40)
			copy(frame[sourceMACAt:], mac)
			if got, want := accepts(t, program, frame), !slices.Contains(known, mac.String()); got != want {
				t.Errorf("%s: %s: accepted %v, want %v", name, mac, got, want)
			}
			most = max(most, executed(program[4:], frame))
		}
		if bound := map[string]int{"of many": 300}[name]; most > max(bound, 50) {
			t.Errorf("%s: a frame takes %d of %d instructions", name, most, len(program))
		}
	}
}

// executed returns how many instructions the program takes for a frame.
func executed(program []unix.SockFilter, frame []byte) (n int) {
	var a uint32
	for at := 0; ; at++ {
		n++
		i := program[at]
		yes := false
		switch i.Code & 7 {
		case unix.BPF_RET:
			return n
		case unix.BPF_LD:
			switch i.Code & 0x18 {
			case unix.BPF_B:
				a = uint32(frame[i.K])
			case unix.BPF_H:
				a = uint32(binary.BigEndian.Uint16(frame[i.K:]))
			default:
				a = binary.BigEndian.Uint32(frame[i.K:])
			}
			continue
		}
		switch i.Code & 0xf0 {
		case unix.BPF_JA:
			at += int(i.K)
			continue
		case unix.BPF_JEQ:
			yes = a == i.K
		case unix.BPF_JGE:
			yes = a >= i.K
		case unix.BPF_JSET:
			yes = a&i.K != 0
		}
		if yes {
			at += int(i.Jt)
		} else {
			at += int(i.Jf)
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
