package doctor

import (
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

func TestReplacedLinkGroupsAreReported(t *testing.T) {
	const ours = "8200"
	for name, c := range map[string]struct {
		group    uplinks.Group // of eth1 now
		original string        // of eth1, if replypath has replaced it
		rule     foreign.Rule
		want     Severity // "": no finding
		remedy   string
	}{
		"the default group":                    {},
		"the default group, and a rule for it": {rule: foreign.Rule{InGroup: "0x0"}, want: Error, remedy: "by name"},
		"a group":                              {group: 5, want: Warning, remedy: "ip link set LINK group 0"},
		"a group, and a rule for it":           {group: 5, rule: foreign.Rule{InGroup: "0x5"}, want: Error, remedy: "by name"},
		"a rule for the group going out":       {group: 5, rule: foreign.Rule{OutGroup: "0x5"}, want: Error, remedy: "by name"},
		"a rule for another group":             {group: 5, rule: foreign.Rule{InGroup: "0x6"}, want: Warning, remedy: "by name"},
		"a rule with a mask":                   {group: 5, rule: foreign.Rule{InGroup: "0x4/0x6"}, want: Error, remedy: "by name"},
		"a mask that makes no difference":      {group: 9, rule: foreign.Rule{InGroup: "0x8/0xc"}, want: Warning, remedy: "by name"},
		"a rule for the group's name":          {group: 5, rule: foreign.Rule{InGroup: "wan"}, want: Error, remedy: "by name"},
		"a rule for another name":              {group: 5, rule: foreign.Rule{InGroup: "lan"}, want: Warning, remedy: "by name"},
		"a set":                                {group: 5, rule: foreign.Rule{InGroup: foreign.AnyGroup}, want: Error, remedy: "by name"},
		"replaced":                             {group: 8200, original: "5", want: Note, remedy: "none needed"},
		"replaced, and a rule for it":          {group: 8200, original: "5", rule: foreign.Rule{InGroup: "0x5"}, want: Error, remedy: "by name"},
		"replypath's, and its rule":            {group: 8200, original: ours, rule: foreign.Rule{InGroup: "0x2008"}},
	} {
		s := Snapshot{Settings: uplinks.DefaultSettings(), GroupNumbers: map[string]uplinks.Group{"wan": 5, "lan": 6}, Firewall: []foreign.Rule{c.rule},
			Facts: uplinks.Facts{Links: map[string]uplinks.Link{"eth0": {}, "eth1": {Group: c.group}}, Originals: map[uplinks.Tunable]uplinks.Original{}}}
		s.Settings.Uplinks = []uplinks.Uplink{{ID: 1, Link: "eth1"}, {ID: 2, Link: "absent0"}}
		if c.original != "" {
			s.Facts.Originals[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = uplinks.Original{Value: c.original}
		}
		all := s.checkLinkGroups()
		switch {
		case c.want == "" && len(all) > 0:
			t.Errorf("%s: %+v", name, all)
		case c.want != "" && (len(all) != 1 || all[0].Severity != c.want || !strings.Contains(all[0].Remedy, c.remedy) || !strings.Contains(all[0].Message, "eth1")):
			t.Errorf("%s: %+v, want %s", name, all, c.want)
		}
	}
}

// The group itself can be replypath's only if exactly the uplinks are in it.
func TestLinkGroupOfAllUplinksIsOffered(t *testing.T) {
	s := Snapshot{Settings: uplinks.DefaultSettings(), Facts: uplinks.Facts{Links: map[string]uplinks.Link{"eth0": {Group: 5}, "eth1": {Group: 5}, "lan0": {}}}}
	s.Settings.Uplinks = []uplinks.Uplink{{ID: 1, Link: "eth0"}, {ID: 2, Link: "eth1"}}
	if all := s.checkLinkGroups(); len(all) != 1 || !strings.HasPrefix(all[0].Remedy, "set link_group = 5") {
		t.Errorf("%+v", all)
	}
	s.Facts.Links["lan0"] = uplinks.Link{Group: 5}
	if all := s.checkLinkGroups(); len(all) != 1 || strings.Contains(all[0].Remedy, "link_group") {
		t.Errorf("with a LAN in it: %+v", all)
	}
}

func TestVerdictsOnTheWholeMarkZeroAreWarnings(t *testing.T) {
	for want, r := range map[Severity]foreign.Rule{
		Warning: {MarkBits: marks.FullMask, ZeroMarkVerdict: true},
		Note:    {MarkBits: marks.FullMask, ZeroMarkVerdict: true, In: "lo"},
	} {
		s := Snapshot{Settings: uplinks.DefaultSettings(), Firewall: []foreign.Rule{r}}
		all := s.checkFirewallMarks()
		if len(all) != 1 || all[0].Severity != want {
			t.Errorf("%+v: %+v, want %s", r, all, want)
		}
	}
}
