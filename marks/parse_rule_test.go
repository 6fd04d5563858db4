package marks_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"
)

func TestParseRuleNormalizesSpellings(t *testing.T) {
	const all = 0xffffffff
	mask := marks.DefaultMask
	restore := marks.Rule{Ctmark: marks.MarkMatch{Not: true, Mask: mask}, Action: marks.Action{Kind: marks.RestoreMark, Mask: mask}}
	mark := marks.Rule{SrcGroup: 8200, Ctmark: marks.MarkMatch{Mask: mask}, Dir: "ORIGINAL", Action: marks.Action{Kind: marks.Jump, Chain: marks.New}}
	save := marks.Rule{Fwmark: marks.MarkMatch{Not: true, Mask: mask}, Ctmark: marks.MarkMatch{Mask: mask}, Action: marks.Action{Kind: marks.SaveMark, Mask: mask}}
	post := marks.Rule{Dir: "REPLY", NotAssured: true, Action: marks.Action{Kind: marks.Jump, Chain: marks.Post}}
	set := marks.Rule{In: "eth1", Action: marks.Action{Kind: marks.SetCtmark, Mark: 0x200, Mask: mask}}
	for name, c := range map[string]struct {
		line string
		want marks.Rule
	}{
		"canonical":                       {"-m connmark ! --mark 0x0/0x1f00 -j CONNMARK --restore-mark --nfmask 0x1f00 --ctmask 0x1f00", restore},
		"numbers in decimal":              {"-m connmark ! --mark 0/7936 -j CONNMARK --restore-mark --nfmask 7936 --ctmask 7936", restore},
		"the masks the other way round":   {"-m connmark ! --mark 0x0/0x1f00 -j CONNMARK --restore-mark --ctmask 0x1f00 --nfmask 0x1f00", restore},
		"a negation before the target":    {"! --mark 0x0/0x1f00 -j CONNMARK --restore-mark --nfmask 0x1f00 --ctmask 0x1f00", restore},
		"the whole mark":                  {"-j CONNMARK --restore-mark", marks.Rule{Action: marks.Action{Kind: marks.RestoreMark, Mask: all}}},
		"a test of the whole mark":        {"-m connmark --mark 0x100", marks.Rule{Ctmark: marks.MarkMatch{Mark: 0x100, Mask: all}}},
		"matches in canonical order":      {"-m devgroup --src-group 0x2008 -m connmark --mark 0x0/0x1f00 -m conntrack --ctdir ORIGINAL -j REPLYPATH-NEW", mark},
		"matches in another order":        {"-m conntrack --ctdir ORIGINAL -m connmark --mark 0x0/0x1f00 -m devgroup --src-group 8200 -j REPLYPATH-NEW", mark},
		"options of a match turned round": {"-m conntrack --ctdir REPLY ! --ctstatus ASSURED -j REPLYPATH-POST", post},
		"a match in two halves":           {"-m conntrack --ctdir REPLY -m conntrack ! --ctstatus ASSURED -j REPLYPATH-POST", post},
		"a saved mark":                    {"-m mark ! --mark 0x0/0x1f00 -m connmark --mark 0x0/0x1f00 -j CONNMARK --save-mark --nfmask 0x1f00 --ctmask 0x1f00", save},
		"the tests the other way round":   {"-m connmark --mark 0/7936 -m mark ! --mark 0x0/0x1f00 -j CONNMARK --save-mark --nfmask 0x1f00 --ctmask 0x1f00", save},
		"a test of the packet's mark":     {"-m mark --mark 0x100", marks.Rule{Fwmark: marks.MarkMatch{Mark: 0x100, Mask: all}}},
		"a set mark":                      {"-i eth1 -j CONNMARK --set-xmark 0x200/0x1f00", set},
		"a mark of the packet":            {"-j MARK --set-xmark 0x200/0x1f00", marks.Rule{Action: marks.Action{Kind: marks.SetMark, Mark: 0x200, Mask: mask}}},
		"a share of all senders":          {"-m cluster --cluster-local-nodemask 0x00000008 --cluster-total-nodes 16 --cluster-hash-seed 0x00000009", marks.Rule{Cluster: marks.Cluster{Total: 16, Node: 3, Seed: 9}}},
		"a sender":                        {"-o eth1 -m conntrack --ctorigsrc 192.0.2.0/24 -j RETURN", marks.Rule{Out: "eth1", OrigFrom: netip.MustParsePrefix("192.0.2.0/24"), Action: marks.Action{Kind: marks.Return}}},
		"what IPsec takes":                {"-m policy --dir out --pol ipsec -j RETURN", marks.Rule{IPsec: true, Action: marks.Action{Kind: marks.Return}}},
		"not to the host":                 {"-m addrtype ! --dst-type LOCAL", marks.Rule{Packet: marks.PacketMatch{DstType: marks.AddrType{Not: true, Type: "LOCAL"}}}},
		"an egress group":                 {"-m devgroup --dst-group 0x2008", marks.Rule{DstGroup: 8200}},
		"masquerade":                      {"-o eth1 -j MASQUERADE", marks.Rule{Out: "eth1", Action: marks.Action{Kind: marks.Masquerade}}},
		"many spaces":                     {"  -i  eth1   -j CONNMARK  --set-xmark 0x200/7936 ", set},
		"a goto":                          {"-i eth1+ -g REPLYPATH-N-eth1", marks.Rule{In: "eth1+", Action: marks.Action{Kind: marks.Goto, Chain: "REPLYPATH-N-eth1"}}},
		"where replies go":                {"-m conntrack --ctdir REPLY --ctrepldst 192.0.2.64/28", marks.Rule{Dir: "REPLY", ReplyTo: netip.MustParsePrefix("192.0.2.64/28")}},
		"replies to one address":          {"-m conntrack --ctrepldst 2001:db8::77", marks.Rule{ReplyTo: netip.MustParsePrefix("2001:db8::77/128")}},
		"all links but one":               {"! -i eth1 -j RETURN", marks.Rule{In: "eth1", NotIn: true, Action: marks.Action{Kind: marks.Return}}},
		"nothing but a counter":           {"", marks.Rule{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := marks.ParseRule(c.line); err != nil || got != c.want {
				t.Errorf("%q: got %+v, %v\nwant %+v", c.line, got, err, c.want)
			}
		})
	}
}

func TestParseRuleRejectsForeignRules(t *testing.T) {
	for name, line := range map[string]string{
		"an unsupported match":                "-m comment --comment hello -j RETURN",
		"an address that is excluded":         "! -s 192.0.2.1/32 -j RETURN",
		"a protocol of no interception":       "-p gre -j RETURN",
		"a TPROXY without a port":             "-p tcp -j TPROXY --on-ip 0.0.0.0 --tproxy-mark 0x10/0x10",
		"a TPROXY to no address":              "-p tcp -j TPROXY --on-port 80 --on-ip here --tproxy-mark 0x10/0x10",
		"a type of no interception":           "-m addrtype --dst-type UNREACHABLE -j RETURN",
		"a goto and a jump":                   "-g REPLYPATH-NEW -j RETURN",
		"a goto without its chain":            "-g",
		"a negated output link":               "! -o eth1 -j RETURN",
		"a negated group":                     "-m devgroup ! --src-group 0x2008 -j RETURN",
		"a group with a mask":                 "-m devgroup --src-group 0x2008/0xff -j RETURN",
		"the group of all links":              "-m devgroup --src-group 0x0 -j RETURN",
		"a status that is not negated":        "-m conntrack --ctstatus ASSURED -j RETURN",
		"another status":                      "-m conntrack ! --ctstatus CONFIRMED -j RETURN",
		"no network":                          "-m conntrack --ctrepldst here",
		"an address outside its network":      "-m conntrack --ctrepldst 192.0.2.77/24",
		"every network":                       "-m conntrack --ctrepldst 0.0.0.0/0",
		"two states":                          "-m conntrack --ctstate NEW,RELATED -j RETURN",
		"a direction that does not exist":     "-m conntrack --ctdir SIDEWAYS",
		"a MARK target that ands":             "-j MARK --and-mark 0x200",
		"two shares of all senders":           "-m cluster --cluster-total-nodes 16 --cluster-local-nodemask 0x3 --cluster-hash-seed 1",
		"a saved mark under two masks":        "-j CONNMARK --save-mark --nfmask 0xff00 --ctmask 0x1f00",
		"two tests of the packet's mark":      "-m mark --mark 0x100/0x1f00 -m mark ! --mark 0x0/0x1f00 -j RETURN",
		"two masks that differ":               "-j CONNMARK --restore-mark --nfmask 0xff00 --ctmask 0x1f00",
		"one mask of the two":                 "-j CONNMARK --restore-mark --nfmask 0xff00",
		"a number too large":                  "-m connmark --mark 0x100000000/0x1f00",
		"a negative number":                   "-m connmark --mark -1/0x1f00",
		"no number":                           "-m connmark --mark /0x1f00",
		"two masks on one mark":               "-m connmark --mark 0x0/0x1f00/0x1f00",
		"two tests of the mark":               "-m connmark --mark 0x100/0x1f00 -m connmark ! --mark 0x0/0x1f00 -j RETURN",
		"two links":                           "-i eth0 -i eth1 -j RETURN",
		"two targets":                         "-j RETURN -j REPLYPATH-NEW",
		"an option without its value":         "-m connmark --mark",
		"a target without its name":           "-i eth1 -j",
		"a CONNMARK that does nothing":        "-j CONNMARK",
		"a bare word":                         "eth1",
		"the chain, which must be cut before": "-A REPLYPATH-PRE -j RETURN",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := marks.ParseRule(line)
			if err == nil {
				t.Fatalf("%q is accepted as %+v", line, got)
			}
			if got != (marks.Rule{}) || !strings.Contains(err.Error(), line) {
				t.Errorf("%q: got %+v, %v", line, got, err)
			}
		})
	}
}

func FuzzParseRule(f *testing.F) {
	for _, c := range marks.Chains(marks.DefaultMask, group, false, links(marks.DefaultMask, 2)) {
		for _, r := range c.Rules {
			f.Add(r.String())
		}
	}
	f.Add("! ! --mark 0")
	f.Add("-m connmark --mark 0/0 -m devgroup --src-group 0")
	f.Fuzz(func(t *testing.T, line string) {
		rule, err := marks.ParseRule(line)
		if err != nil {
			return
		}
		again, err := marks.ParseRule(rule.String())
		if err != nil || again != rule {
			t.Errorf("%q is %+v, prints %q, and that is %+v, %v", line, rule, rule, again, err)
		}
	})
}
