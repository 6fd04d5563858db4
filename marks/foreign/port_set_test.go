package foreign

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPortsOfSets(t *testing.T) {
	element := func(flags uint32, key ...byte) []byte {
		return slices.Concat(data(unix.NFTA_SET_ELEM_KEY, key...), uint32Attribute(unix.NFTA_SET_ELEM_FLAGS, flags))
	}
	for name, c := range map[string]struct {
		set      PortSet
		elements [][]byte
		want     []Port
	}{
		"ports":           {PortSet{Proto: "tcp"}, [][]byte{element(0, 1, 0xbb), element(0, 0x1f, 0x90)}, []Port{{"tcp", 443}, {"tcp", 8080}}},
		"an interval":     {PortSet{}, [][]byte{element(0, 0, 80), element(unix.NFT_SET_ELEM_INTERVAL_END, 0, 90), element(unix.NFT_SET_ELEM_INTERVAL_END, 0, 0)}, []Port{{"", 80}}},
		"a concatenation": {PortSet{Proto: "udp", Offset: 4}, [][]byte{element(0, 192, 0, 2, 2, 0, 53, 0, 0), element(0, 192, 0, 2)}, []Port{{"udp", 53}}},
		"no key":          {PortSet{}, [][]byte{uint32Attribute(unix.NFTA_SET_ELEM_FLAGS, 2)}, nil},
	} {
		if got := c.set.ports(c.elements); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	r := Rule{SetPorts: [maxSetPorts]Port{{"tcp", 443}}, Selectors: "tcp dport @s"}
	if got := r.Ports(); !slices.Equal(got, []Port{{"tcp", 443}}) {
		t.Errorf("%v", got)
	}
}
