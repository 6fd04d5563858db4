package inspect_test

import (
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"
)

func TestForeignRulesBeforeOursAreReported(t *testing.T) {
	rule := func(priority uplinks.Priority, table uplinks.Table, change func(*uplinks.Rule)) uplinks.Rule {
		r := uplinks.Rule{Family: uplinks.IPv4, Priority: priority, Action: uplinks.Lookup, Table: table,
			SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
		if change != nil {
			change(&r)
		}
		return r
	}
	for name, test := range map[string]struct {
		rule uplinks.Rule
		want string // part of the finding; empty: none
	}{
		"the kernel's own first rule":         {rule(0, 255, nil), ""},
		"the kernel's own first rule, moved":  {rule(32765, 255, nil), "looked up after replypath's rules"},
		"the kernel's own last rules":         {rule(32766, uplinks.MainTable, nil), ""},
		"Tailscale's, after replypath's":      {rule(5270, 52, nil), ""},
		"wg-quick's for all but its own mark": {rule(1999, 51820, func(r *uplinks.Rule) { r.Not, r.Mark, r.Mask = true, 51820, 0xffffffff }), "comes before replypath's"},
		"wg-quick's for main":                 {rule(1998, uplinks.MainTable, func(r *uplinks.Rule) { r.SuppressLength = 0 }), "comes before replypath's"},
		"one for a single mark":               {rule(1000, 100, func(r *uplinks.Rule) { r.Mark, r.Mask = 0x80000, 0xff0000 }), ""},
		"one for a single link":               {rule(1000, 100, func(r *uplinks.Rule) { r.IIF = "wg0" }), ""},
		"one with selectors of other kinds":   {rule(1000, 100, func(r *uplinks.Rule) { r.Other = "..." }), ""},
		"one within the block":                {rule(2061, 100, func(r *uplinks.Rule) { r.IIF = "wg0" }), "within replypath's block"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := uplinkstest.Facts()
			baseline := len(inspect.Findings(uplinkstest.Settings(), facts))
			facts.ForeignRules = append(facts.ForeignRules, test.rule)
			findings := inspect.Findings(uplinkstest.Settings(), facts)
			switch {
			case test.want == "" && len(findings) != baseline:
				t.Errorf("findings %v", findings)
			case test.want != "" && (len(findings) != baseline+1 || !strings.Contains(findings[baseline].What, test.want)):
				t.Errorf("findings %v, want %q", findings, test.want)
			}
		})
	}
}

func TestGatewayThatIsOwnAddressIsReported(t *testing.T) {
	s, facts := uplinkstest.Settings(), uplinkstest.Facts()
	addr := facts.Links[s.Uplinks[0].Link].Addrs[0].Prefix.Addr()
	s.Uplinks[0].Gateway4 = uplinks.Gateway{Addr: addr}
	for _, f := range inspect.Findings(s, facts) {
		if strings.Contains(f.What, addr.String()+" is an address of this host") {
			return
		}
	}
	t.Errorf("no finding about the gateway %s", addr)
}

func TestDisruptionsOfOpenConnections(t *testing.T) {
	facts := uplinkstest.Facts()
	have := uplinks.Desired(uplinkstest.Settings(), facts, nil)
	for name, test := range map[string]struct {
		change func(*uplinks.Settings)
		want   []string
	}{
		"nothing changes": {func(*uplinks.Settings) {}, nil},
		"two uplinks swap their ids": {func(s *uplinks.Settings) {
			s.Uplinks[0].ID, s.Uplinks[1].ID = s.Uplinks[1].ID, s.Uplinks[0].ID
		}, []string{"have the mark", "have the mark"}},
		"an uplink gets an id that none had": {func(s *uplinks.Settings) { s.Uplinks[1].ID = 9 }, nil},
		"another mask":                       {func(s *uplinks.Settings) { s.Mask = 0xff0000 }, []string{"the mask changes"}},
		"another link group":                 {func(s *uplinks.Settings) { s.Group = 77 }, []string{"the link group changes from 8200 to 77"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := uplinkstest.Settings()
			test.change(&s)
			findings := inspect.Disruptions(uplinks.Desired(s, facts, nil), have)
			if len(findings) != len(test.want) {
				t.Fatalf("findings %v", findings)
			}
			for i, f := range findings {
				if !strings.Contains(f.What, test.want[i]) {
					t.Errorf("finding %q, want %q", f.What, test.want[i])
				}
			}
		})
	}
}

func TestLinkGroupWithoutSavedOriginalIsReported(t *testing.T) {
	facts := uplinkstest.Facts()
	link := facts.Links["eth0"]
	link.Group = uplinks.DefaultGroup
	facts.Links["eth0"] = link
	findings := inspect.Findings(uplinks.Settings{}, facts)
	if len(findings) != 1 || !strings.Contains(findings[0].Remedy, "ip link set dev eth0 group 0; sysctl -w net.ipv4.conf.eth0.src_valid_mark=0") {
		t.Errorf("findings %v", findings)
	}
	group := uplinks.Tunable{Link: "eth0", Name: uplinks.LinkGroup}
	facts.Originals = map[uplinks.Tunable]uplinks.Original{group: {LinkIndex: link.Index, Value: "5", Applied: "8200"}}
	if findings := inspect.Findings(uplinks.Settings{}, facts); len(findings) != 0 {
		t.Errorf("findings %v", findings)
	}
}
