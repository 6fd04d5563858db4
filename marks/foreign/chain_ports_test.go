package foreign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

func TestRulesInheritThePortsThatLeadToTheirChain(t *testing.T) {
	for saved, want := range map[string]string{
		"-A M -j MARK --set-xmark 0x100/0x1f00\n-A OUTPUT -p tcp -m tcp --sport 8080 -j M":                                                        "tcp 8080",
		"-A N -j MARK --set-xmark 0x100/0x1f00\n-A M -g N\n-A OUTPUT -p udp -m multiport --dports 53,5353 -j M":                                   "udp 53, udp 5353",
		"-A M -p tcp -m tcp --sport 443 -j MARK --set-xmark 0x100/0x1f00\n-A OUTPUT -p tcp -m tcp --sport 8080 -j M":                              "tcp 443",
		"-A M -j MARK --set-xmark 0x100/0x1f00\n-A N -j M\n-A M -j N\n-A OUTPUT -p tcp -m tcp --sport 1:9 -j N\n-A OUTPUT -p tcp --sport 80 -j N": "tcp 1, tcp 80",
		"-A M -j MARK --set-xmark 0x100/0x1f00\n-A OUTPUT -j M":                                                                                   "",
		"-A M -j ACCEPT\n-A OUTPUT -p tcp -m tcp --sport 8080 -j M":                                                                               "",
	} {
		rules, _ := ParseSave("iptables-save", "*mangle\n"+saved+"\nCOMMIT\n")
		var got []string
		for _, r := range rules {
			if r.ChangesReplies() {
				for _, p := range r.Ports() {
					got = append(got, fmt.Sprintf("%s %d", p.Proto, p.Number))
				}
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s\n%q, want %q", saved, got, want)
		}
	}
}

func TestVerdictMapsLeadToChains(t *testing.T) {
	element := func(port byte, verdict ...[]byte) []byte {
		return slices.Concat(data(unix.NFTA_SET_ELEM_KEY, 0x1f, port), netfilter.Attribute(unix.NFTA_SET_ELEM_DATA|unix.NLA_F_NESTED,
			netfilter.Attribute(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, slices.Concat(verdict...))))
	}
	code := func(n int32) []byte { return uint32Attribute(unix.NFTA_VERDICT_CODE, uint32(n)) }
	jumpTo := func(chain string) []byte {
		return slices.Concat(code(unix.NFT_JUMP), netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain))
	}
	b := Behaviour{VerdictMap: "m", PortSets: []PortSet{{Set: "m", Proto: "tcp"}, {Set: "other", Proto: "udp"}}}
	b.addMapped(element(0x90, jumpTo("a")))
	b.addMapped(element(0x91, jumpTo("a")))
	b.addMapped(element(0x92, code(verdictAccept)))
	if b.Drops {
		t.Error("an accepting element drops")
	}
	b.addMapped(element(0x93, code(verdictDrop)))
	if want := "[{a [{tcp 8080} {tcp 8081}]}]"; fmt.Sprint(b.jumps(nil)) != want || !b.Drops {
		t.Errorf("%v, drops %v, want %s, which drops", b.jumps(nil), b.Drops, want)
	}
}
