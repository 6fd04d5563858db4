package foreign

import "testing"

// A rule that translates sources has the rules by which packets come to it, and the link that they select.
func TestWaysToRulesThatTranslateSources(t *testing.T) {
	for _, c := range []struct {
		name, rules, via, out string
	}{
		{"in POSTROUTING itself", "-A POSTROUTING -o eth0 -j MASQUERADE", "", "eth0"},
		{"in a chain that nothing leads to", "-A A -j MASQUERADE", "", ""},
		{"by one jump", "-A A -j MASQUERADE\n-A POSTROUTING -o eth1 -j A", "-A POSTROUTING -o eth1 -j A", "eth1"},
		{"by two", "-A B -j SNAT --to-source 192.0.2.1\n-A A -g B\n-A POSTROUTING -s 198.18.0.0/15 -j A", "-A POSTROUTING -s 198.18.0.0/15 -j A, -A A -g B", ""},
		{"from two links", "-A A -j MASQUERADE\n-A POSTROUTING -o eth0 -j A\n-A POSTROUTING -o eth1 -j A", "-A POSTROUTING -o eth0 -j A", ""},
		{"the more general way", "-A A -j MASQUERADE\n-A POSTROUTING -m mark --mark 0x1 -j A\n-A POSTROUTING -j A", "-A POSTROUTING -j A", ""},
		{"what has no mark returns", "-A POSTROUTING -j A\n-A A -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A A -j MASQUERADE", "-A POSTROUTING -j A, -A A -m mark ! --mark 0x4000/0x4000 -j RETURN", ""},
		{"what has a mark returns", "-A POSTROUTING -j A\n-A A -m mark --mark 0x4000/0x4000 -j RETURN\n-A A -j MASQUERADE", "-A POSTROUTING -j A", ""},
		{"all returns", "-A POSTROUTING -j A\n-A A -j RETURN\n-A A -j MASQUERADE", "", ""},
		{"a loop", "-A A -j B\n-A B -j A\n-A B -j MASQUERADE\n-A POSTROUTING -j A", "-A POSTROUTING -j A, -A A -j B", ""},
	} {
		rules, _ := ParseSave("iptables-save", "*nat\n"+c.rules+"\nCOMMIT\n")
		for _, r := range rules {
			if r.TranslatesSource && (r.Via != c.via || r.Out != c.out) {
				t.Errorf("%s: by %q, link %q, want %q, %q", c.name, r.Via, r.Out, c.via, c.out)
			}
		}
	}
}
