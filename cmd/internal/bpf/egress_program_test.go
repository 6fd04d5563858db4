package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// prefixes parses networks.
func prefixes(text ...string) (all []netip.Prefix) {
	for _, p := range text {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// frame returns an Ethernet frame with a header of IP that has the source, and whatever is before that.
func frame(source string, tags ...byte) []byte {
	a := netip.MustParseAddr(source)
	ethernet := append(make([]byte, 12), tags...)
	if a.Is4() {
		header := make([]byte, 28)
		header[0], header[3], header[9] = 0x45, 28, unix.IPPROTO_UDP
		copy(header[offsetSource4:], a.AsSlice())
		return slices.Concat(ethernet, []byte{0x08, 0x00}, header)
	}
	header := make([]byte, 48)
	header[0], header[5], header[6] = 0x60, 8, unix.IPPROTO_UDP
	copy(header[offsetSource6:], a.AsSlice())
	return slices.Concat(ethernet, []byte{0x86, 0xdd}, header)
}

// verdict runs the program on the frame as a packet with the mark.
func verdict(t *testing.T, p *ebpf.Program, frame []byte, mark uint32) int32 {
	t.Helper()
	context := [48]uint32{skbMark / 4: mark} // struct __sk_buff
	got, err := p.Run(&ebpf.RunOptions{Data: frame, Context: context[:]})
	if err != nil {
		t.Fatal(err)
	}
	return int32(got)
}

// dropped returns the number of packets that the map has counted.
func dropped(t *testing.T, m *ebpf.Map) (n int) {
	t.Helper()
	var k networkKey
	var v networkValue
	entries := m.Iterate()
	for entries.Next(&k, &v) {
		n += int(v.Packets)
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEgressProgramDropsSourcesWithoutAMark(t *testing.T) {
	all := EgressFilter{Drop: prefixes("198.18.0.0/16", "2001:db8:f::/48"), Pass: prefixes("198.18.5.0/24", "198.18.6.6/32", "2001:db8:f:5::/64")}
	ipv4 := EgressFilter{Drop: prefixes("198.18.0.0/16")}
	ipv6 := EgressFilter{Drop: prefixes("2001:db8:f::/48")}
	vlan := []byte{0x81, 0x00, 0x00, 0x05}
	for name, c := range map[string]struct {
		filter EgressFilter
		frame  []byte
		mark   uint32
		drop   bool
	}{
		"IPv4 from inside":                    {all, frame("198.18.0.2"), 0, true},
		"IPv6 from inside":                    {all, frame("2001:db8:f::2"), 0, true},
		"the last address of a network":       {all, frame("198.18.255.255"), 0, true},
		"the address behind a network":        {all, frame("198.19.0.0"), 0, false},
		"the mark of an uplink":               {all, frame("198.18.0.2"), 0x100, false},
		"one bit of another program":          {all, frame("2001:db8:f::2"), 1 << 31, false},
		"a network that passes":               {all, frame("198.18.5.2"), 0, false},
		"an address that passes":              {all, frame("198.18.6.6"), 0, false},
		"the address beside it":               {all, frame("198.18.6.7"), 0, true},
		"a network of IPv6 that passes":       {all, frame("2001:db8:f:5::2"), 0, false},
		"the uplink's own":                    {all, frame("198.51.100.2"), 0, false},
		"a host on the link":                  {all, frame("fe80::1"), 0, false},
		"no address":                          {all, frame("::"), 0, false},
		"an IPv4-mapped source in IPv6":       {ipv4, frame("::ffff:198.18.0.2"), 0, false},
		"IPv4 alone, IPv4":                    {ipv4, frame("198.18.0.2"), 0, true},
		"IPv4 alone, IPv6":                    {ipv4, frame("2001:db8:f::2"), 0, false},
		"IPv6 alone, IPv4":                    {ipv6, frame("198.18.0.2"), 0, false},
		"IPv6 alone, IPv6":                    {ipv6, frame("2001:db8:f::2"), 0, true},
		"a VLAN":                              {all, frame("198.18.0.2", vlan...), 0, false},
		"ARP":                                 {all, append(make([]byte, 12), 0x08, 0x06, 198, 18, 0, 2), 0, false},
		"IPv4 that is nothing but its header": {all, frame("198.18.0.2")[:34], 0, true},
	} {
		program, networks, err := loadFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		want, count := int32(tcxNext), 0
		if c.drop {
			want, count = tcxDrop, 1
		}
		if got := verdict(t, program, c.frame, c.mark); got != want {
			t.Errorf("%s: verdict %d, want %d", name, got, want)
		}
		if n := dropped(t, networks); n != count {
			t.Errorf("%s: %d packets are counted, want %d", name, n, count)
		}
		if read, err := readNetworks(networks); err != nil || !slices.Equal(read.Drop, c.filter.Drop) || !slices.Equal(read.Pass, c.filter.Pass) {
			t.Errorf("%s: the map has %v, %v, want %v", name, read, err, c.filter)
		}
		program.Close()
		networks.Close()
	}
}

// What a packet with a mark pays is in the first instructions.
func TestEgressProgramLooksAtTheMarkFirst(t *testing.T) {
	all := egressProgram(true, true)
	if size := binary.Size(networkKey{}); size != -prefixKey || all[0].Offset != skbMark || all[1].Constant != 0 || all[1].Reference() != "next" {
		t.Errorf("a key has %d bytes; the program begins with %v, %v", size, all[0], all[1])
	}
	if !slices.IsSortedFunc(prefixes("10.0.0.0/8", "198.18.0.0/16", "2001:db8::/32"), netip.Prefix.Compare) {
		t.Error("networks of both families have no order")
	}
}
