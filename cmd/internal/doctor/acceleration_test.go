package doctor

import (
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// Rules that count what is forwarded, limit it, or hand it to a program do not see packets of accelerated connections. Those that
// match other packets, or links that are not accelerated, do not need to.
func TestRulesThatNeedEveryPacketAreNamed(t *testing.T) {
	table := marks.NewFlowTable(0x1f00, []marks.FlowLink{{Name: "eth0", Mark: 0x100}}, []string{"lan0"})
	s := Snapshot{State: uplinks.State{Flows: map[marks.FlowState]bool{{FlowTable: table}: true}}}
	for saved, named := range map[string]bool{
		"*mangle\n-A FORWARD -s 198.18.0.0/24":                                                              true,
		"*filter\n-A FORWARD -j acct\n-A acct -i lan0 -o eth0 -m comment --comment \"of the LAN\"":          true,
		"*filter\n-A FORWARD -m quota --quota 1000000 -j ACCEPT":                                            true,
		"*filter\n-A FORWARD -m nfacct --nfacct-name http":                                                  true,
		"*mangle\n-A POSTROUTING -m hashlimit --hashlimit-above 1mb/s --hashlimit-name up -j DROP":          true,
		"*mangle\n-A FORWARD -j NFQUEUE --queue-num 3":                                                      true,
		"*mangle\n-A FORWARD -m mark --mark 0x5 -j CLASSIFY --set-class 0001:0005":                          true,
		"*filter\n-A INPUT -s 198.18.0.0/24":                                                                false,
		"*filter\n-A FORWARD -i wlan0":                                                                      false,
		"*nat\n-A PREROUTING -d 198.51.100.2":                                                               false,
		"*filter\n-A acct -s 198.18.0.0/24":                                                                 false,
		"*filter\n-A FORWARD -p icmp -m limit --limit 5/sec -j DROP":                                        false,
		"*filter\n-A FORWARD -m conntrack --ctstate NEW -m recent --set --name new":                         false,
		"*filter\n-A FORWARD -m recent --update --name old":                                                 false,
		"*filter\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m hashlimit --hashlimit-name s -j DROP": false,
		"*filter\n-A FORWARD -m limit --limit 5/min -j LOG":                                                 false,
		"*filter\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT":                          false,
	} {
		s.Firewall, _ = foreign.ParseSave("iptables-save", saved+"\n")
		var evidence []string
		for _, f := range s.checkAcceleration() {
			evidence = append(evidence, f.Evidence...)
		}
		if named != slices.ContainsFunc(evidence, func(line string) bool { return strings.HasPrefix(line, "iptables-save: ") }) {
			t.Errorf("%q: want named %t: %q", saved, named, evidence)
		}
	}
}
