package bpf

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// newSharedLink makes a link with the tables of two uplinks, the first of which has a link-local gateway in IPv6, and forwards. It
// returns the link, and a function that runs ip(8).
func newSharedLink(t *testing.T, name string) (*net.Interface, func(command string)) {
	t.Helper()
	run := func(command string) {
		t.Helper()
		for line := range strings.SplitSeq(command, "\n") {
			words := strings.Fields(line)
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", line, err, out)
			}
		}
	}
	run(strings.ReplaceAll(`ip link add LINK type veth peer name LINK-peer
ip link set LINK-peer up
ip link set LINK up
sysctl -q net.ipv4.conf.LINK.forwarding=1 net.ipv6.conf.LINK.forwarding=1
ip addr add 192.0.2.2/24 dev LINK
ip addr add 2001:db8:b::2/64 dev LINK nodad
ip route add 192.0.2.0/24 dev LINK table 8202
ip route add default via 192.0.2.1 dev LINK table 8202
ip route add default via fe80::1 dev LINK table 8202
ip route add 192.0.2.0/24 dev LINK table 8203
ip route add default via 192.0.2.3 dev LINK table 8203
ip route add 2001:db8:b::/64 dev LINK table 8203
ip route add default via 2001:db8:b::3 dev LINK table 8203`, "LINK", name))
	t.Cleanup(func() { run("ip link del " + name) })
	made, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return made, func(command string) { t.Helper(); run(strings.ReplaceAll("ip "+command, "LINK", name)) }
}

// sharedClassifier returns a classifier for the link of newSharedLink, whose firewall knows these routers.
func sharedClassifier(known ...KnownRouter) RouterClassifier {
	a := netip.MustParseAddr
	return RouterClassifier{Mask: 0x1f00, IPv4: true, IPv6: true, Known: known, Routers: []Router{
		{0x200, 8202, a("192.0.2.1")}, {0x200, 8202, a("fe80::1")}, {0x300, 8203, a("192.0.2.3")}, {0x300, 8203, a("2001:db8:b::3")},
		{0x300, 8203, a("192.0.2.13")}, // the other member of a pair
	}}
}

// frameOf returns a frame to the link from the sender.
func frameOf(l *net.Interface, sender byte, source string, tags ...byte) []byte {
	f := frame(source, tags...)
	copy(f, l.HardwareAddr)
	copy(f[etherSource:], senderMAC(sender))
	return f
}

func senderMAC(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0xa, n} }

// markOf runs the program on the frame as a packet with the mark, and returns the mark that it has then.
func markOf(t *testing.T, p *ebpf.Program, l *net.Interface, frame []byte, mark uint32) uint32 {
	t.Helper()
	context, after := [48]uint32{skbMark / 4: mark, skbIfindex / 4: uint32(l.Index)}, make([]byte, 4*48)
	verdict, err := p.Run(&ebpf.RunOptions{Data: frame, Context: context[:], ContextOut: after})
	if err != nil {
		t.Fatal(err)
	}
	if next := int32(tcxNext); int32(verdict) != next {
		t.Errorf("verdict %d, want %d", int32(verdict), next)
	}
	return binary.NativeEndian.Uint32(after[skbMark:])
}

// knownAs returns what the firewall knows of the sender.
func knownAs(n byte, mark uint32) KnownRouter { return KnownRouter{[macSize]byte(senderMAC(n)), mark} }

// classifiedFrame is a frame that comes in as a packet with a mark, and the mark that it gets.
type classifiedFrame struct {
	classifier RouterClassifier
	frame      []byte
	mark, want uint32
}

// entry makes a neighbour entry of the link.
func entry(t *testing.T, ip func(command string), addr string, n byte, state string) {
	t.Helper()
	ip("neigh replace " + addr + " dev LINK lladdr " + senderMAC(n).String() + " nud " + state)
}

// classifiedFrames returns frames to the link, which has entries of the senders 1, 3, 4, 13 and 99.
func classifiedFrames(l *net.Interface) map[string]classifiedFrame {
	all := sharedClassifier()
	swapped := sharedClassifier(knownAs(1, 0x300), knownAs(3, 0x200), knownAs(4, 0x300), knownAs(13, 0))
	known := sharedClassifier(knownAs(1, 0x200), knownAs(3, 0x300), knownAs(4, 0x300), knownAs(99, 0x300))
	ipv4, ipv6 := all, all
	ipv4.IPv6, ipv6.IPv4 = false, false
	toOthers := frameOf(l, 3, "203.0.113.1")
	toOthers[5]++
	return map[string]classifiedFrame{
		"the first router":                       {all, frameOf(l, 1, "203.0.113.1"), 0, 0x200},
		"the first router, IPv6":                 {all, frameOf(l, 1, "2001:db8:f::1"), 0, 0x200},
		"the second router":                      {all, frameOf(l, 3, "203.0.113.1"), 0, 0x300},
		"the entry of the other family":          {all, frameOf(l, 3, "2001:db8:f::1"), 0, 0x300},
		"a global address of IPv6":               {all, frameOf(l, 4, "203.0.113.1"), 0, 0x300},
		"the member of a pair":                   {all, frameOf(l, 13, "203.0.113.1"), 0, 0x300},
		"an unknown router":                      {all, frameOf(l, 5, "203.0.113.1"), 0, 0},
		"a host on the link":                     {all, frameOf(l, 99, "192.0.2.99"), 0, 0},
		"the bits of other programs":             {all, frameOf(l, 3, "203.0.113.1"), 0x800000ff, 0x800003ff},
		"bits of ours from another program":      {all, frameOf(l, 3, "203.0.113.1"), 0x80000200, 0x80000300},
		"such bits of no router's":               {all, frameOf(l, 99, "192.0.2.99"), 0x80001fff, 0x800000ff},
		"such bits of what is known":             {known, frameOf(l, 3, "203.0.113.1"), 0x200, 0},
		"what the firewall knows":                {known, frameOf(l, 3, "203.0.113.1"), 0, 0},
		"what the firewall knows, IPv6":          {known, frameOf(l, 4, "2001:db8:f::1"), 0, 0},
		"what the firewall knows, first":         {known, frameOf(l, 1, "2001:db8:f::1"), 0, 0},
		"an address that was a router's":         {known, frameOf(l, 99, "203.0.113.1"), 0, 0},
		"swapped, first":                         {swapped, frameOf(l, 1, "203.0.113.1"), 0, 0x200},
		"swapped, second":                        {swapped, frameOf(l, 3, "2001:db8:f::1"), 0, 0x300},
		"one of two was swapped":                 {swapped, frameOf(l, 4, "203.0.113.1"), 0, 0},
		"what the configuration says":            {swapped, frameOf(l, 13, "203.0.113.1"), 0, 0},
		"a VLAN":                                 {all, frameOf(l, 3, "203.0.113.1", 0x81, 0, 0, 5), 0, 0},
		"ARP":                                    {all, append(frameOf(l, 3, "203.0.113.1")[:12], 0x08, 0x06, 203, 0), 0, 0},
		"a frame to another host":                {all, toOthers, 0, 0},
		"IPv4 alone":                             {ipv4, frameOf(l, 3, "203.0.113.1"), 0, 0x300},
		"IPv4 alone, IPv6":                       {ipv4, frameOf(l, 3, "2001:db8:f::1"), 0x200, 0x200},
		"IPv6 alone":                             {ipv6, frameOf(l, 3, "2001:db8:f::1"), 0, 0x300},
		"IPv6 alone, IPv4":                       {ipv6, frameOf(l, 3, "203.0.113.1"), 0, 0},
		"a mask with the highest bit of a mark":  {RouterClassifier{Mask: 0xf8000000, IPv4: true, Routers: []Router{{0x88000000, 8203, netip.MustParseAddr("192.0.2.3")}}}, frameOf(l, 3, "203.0.113.1"), 0x1, 0x88000001},
		"such a mark is known":                   {RouterClassifier{Mask: 0xf8000000, IPv4: true, Routers: []Router{{0x88000000, 8203, netip.MustParseAddr("192.0.2.3")}}, Known: []KnownRouter{knownAs(3, 0x88000000)}}, frameOf(l, 3, "203.0.113.1"), 0x1, 0x1},
		"the table of another uplink has no way": {RouterClassifier{Mask: 0x1f00, IPv4: true, Routers: []Router{{0x300, 8209, netip.MustParseAddr("192.0.2.3")}}}, frameOf(l, 3, "203.0.113.1"), 0, 0},
	}
}

func TestClassifierMarksFramesByTheNeighbourTable(t *testing.T) {
	l, ip := newSharedLink(t, "rp-mark")
	entry(t, ip, "192.0.2.1", 1, "permanent")
	entry(t, ip, "fe80::1", 1, "stale")
	entry(t, ip, "192.0.2.3", 3, "permanent")
	entry(t, ip, "2001:db8:b::3", 4, "permanent")
	entry(t, ip, "192.0.2.13", 13, "stale")
	entry(t, ip, "192.0.2.99", 99, "permanent")
	for name, c := range classifiedFrames(l) {
		p, m, err := loadClassifier(c.classifier.sorted())
		if err != nil {
			t.Fatal(err)
		}
		if got := markOf(t, p, l, c.frame, c.mark); got != c.want {
			t.Errorf("%s: the mark %#x becomes %#x, want %#x", name, c.mark, got, c.want)
		}
		if read, err := readRouters(m); err != nil || !slices.Equal(read.Routers, c.classifier.sorted().Routers) || !slices.Equal(read.Known, c.classifier.sorted().Known) {
			t.Errorf("%s: the map has %v, %v, want %v", name, read, err, c.classifier)
		}
		p.Close()
		m.Close()
	}
}

// The program asks the table for each packet.
func TestClassifierFollowsTheNeighbourTable(t *testing.T) {
	l, ip := newSharedLink(t, "rp-follow")
	p, m, err := loadClassifier(sharedClassifier(knownAs(1, 0x200), knownAs(3, 0x300)).sorted())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer p.Close()
	want := func(when string, first4, first6, second4, second6 uint32) {
		t.Helper()
		for sender, want := range map[byte][2]uint32{1: {first4, first6}, 3: {second4, second6}} {
			for i, source := range []string{"203.0.113.1", "2001:db8:f::1"} {
				if got := markOf(t, p, l, frameOf(l, sender, source), 0); got != want[i] {
					t.Errorf("%s, sender %d: a packet from %s gets %#x, want %#x", when, sender, source, got, want[i])
				}
			}
		}
	}
	want("no entry", 0, 0, 0, 0)
	entry(t, ip, "192.0.2.1", 1, "permanent")
	entry(t, ip, "fe80::1", 1, "permanent")
	entry(t, ip, "192.0.2.3", 3, "permanent")
	want("as the firewall knows it", 0, 0, 0, 0)
	entry(t, ip, "192.0.2.1", 3, "permanent")
	want("two routers have an address", 0, 0, 0, 0)
	entry(t, ip, "192.0.2.3", 1, "permanent")
	want("one entry of the first router is as before", 0x300, 0, 0x200, 0x200)
	entry(t, ip, "fe80::1", 3, "permanent")
	want("exchanged", 0x300, 0x300, 0x200, 0x200)
	ip("neigh del 192.0.2.3 dev LINK")
	want("the entry of the second router is gone", 0, 0, 0x200, 0x200)
}
