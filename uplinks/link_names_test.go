package uplinks_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// namedFacts returns a host with these links, which have the given index and are ready if an address is written.
func namedFacts(links ...uplinks.Link) uplinks.Facts {
	f := uplinkstest.Facts()
	f.Links = map[string]uplinks.Link{}
	for i, l := range links {
		if l.Index == 0 {
			l.Index = 10 + i
		}
		f.Links[l.Name] = l
	}
	return f
}

func readyLink(name string) uplinks.Link {
	return uplinks.Link{Name: name, Up: true, Carrier: true, Addrs: []uplinks.Addr{{Prefix: netip.MustParsePrefix("192.0.2.2/24")}}}
}

func upLink(name string) uplinks.Link { return uplinks.Link{Name: name, Up: true, Carrier: true} }

func TestResolveLinks(t *testing.T) {
	gateways := []string{"192.0.2.1", "192.0.2.3"}
	alternative := func(l uplinks.Link, names ...string) uplinks.Link { l.AltNames = names; return l }
	port := readyLink("ppp1")
	port.Master = 99
	for _, c := range []struct {
		name       string
		configured []string
		facts      uplinks.Facts
		want       []string
	}{
		{"a name", []string{"eth0"}, namedFacts(readyLink("eth0")), []string{"eth0"}},
		{"no link", []string{"ppp*", "wan"}, namedFacts(readyLink("eth0")), []string{"ppp*", "wan"}},
		{"an alternative name", []string{"wan"}, namedFacts(alternative(readyLink("eth0"), "lan", "wan")), []string{"eth0"}},
		{"a name before an alternative name", []string{"wan"}, namedFacts(readyLink("wan"), alternative(readyLink("eth0"), "wan")), []string{"wan"}},
		{"a pattern", []string{"ppp*"}, namedFacts(upLink("eth0"), upLink("ppp3")), []string{"ppp3"}},
		{"the pattern alone", []string{"ppp*"}, namedFacts(upLink("ppp")), []string{"ppp"}},
		{"one with an address", []string{"ppp*"}, namedFacts(upLink("ppp0"), readyLink("ppp1")), []string{"ppp1"}},
		{"one that is up", []string{"ppp*"}, namedFacts(uplinks.Link{Name: "ppp0"}, upLink("ppp1")), []string{"ppp1"}},
		{"none that is a port", []string{"ppp*"}, namedFacts(port, uplinks.Link{Name: "ppp2"}), []string{"ppp2"}},
		{"the oldest", []string{"ppp*"}, namedFacts(readyLink("ppp9"), readyLink("ppp1")), []string{"ppp9"}},
		{"none of another uplink", []string{"wan", "ppp*"}, namedFacts(alternative(readyLink("ppp0"), "wan"), upLink("ppp1")), []string{"ppp0", "ppp1"}},
		{"loopback never", []string{"l*"}, namedFacts(upLink("lo")), []string{"l*"}},
		{"two routers of one pattern", []string{"ppp*", "ppp*"}, namedFacts(readyLink("ppp0")), []string{"ppp0", "ppp0"}},
		{"two routers of one link with two names", []string{"wan", "eth0"}, namedFacts(alternative(readyLink("eth0"), "wan")), []string{"eth0", "eth0"}},
	} {
		s := uplinks.DefaultSettings()
		for i, link := range c.configured {
			s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: string(rune('a' + i)), Link: link, Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr(gateways[i])}})
		}
		resolved := s.ResolveLinks(c.facts)
		for i, u := range resolved.Uplinks {
			if u.Link != c.want[i] || u.ConfiguredLink() != c.configured[i] {
				t.Errorf("%s: %q is %q, configured as %q, want %q", c.name, c.configured[i], u.Link, u.ConfiguredLink(), c.want[i])
			}
		}
		if again := resolved.ResolveLinks(c.facts); !again.SameLinks(resolved) || !resolved.ResolveLinks(namedFacts()).SameLinks(s) {
			t.Errorf("%s: resolved anew: %v", c.name, again.Uplinks)
		}
	}
}

// The second name of another uplink's link is refused where the routers cannot be distinguished.
func TestSecondNameOfLinkIsNotUsedWithOneRouter(t *testing.T) {
	s, f := uplinks.DefaultSettings(), namedFacts(readyLink("eth0"))
	l := f.Links["eth0"]
	l.AltNames = []string{"wan"}
	f.Links["eth0"] = l
	for i, link := range []string{"wan", "eth0"} {
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: link, ID: 1, Link: link, Gateway4: uplinks.Gateway{Auto: true}})
		s.Uplinks[i].ID += 1
	}
	if u := s.ResolveLinks(f).Uplinks[0]; u.Link != "wan" {
		t.Errorf("wan is %q, which eth0 has", u.Link)
	}
	if uplink, link := s.OwnerOf("wan", f); uplink != "eth0" || link != "eth0" {
		t.Errorf("wan belongs to %q on %q", uplink, link)
	}
}

func TestNamesOfOtherLinksAreResolved(t *testing.T) {
	l := readyLink("eth0")
	l.AltNames = []string{"office"}
	s := uplinks.DefaultSettings()
	s.Inside = []string{"office", "lan0"}
	s.Uplinks = []uplinks.Uplink{{Name: "lte", ID: 1, Link: "wwan*"}}
	s.Interception = &uplinks.Interception{Intercepts: []uplinks.Intercept{{Links: []string{"wwan*", "office"}}}}
	s.Outbound.Rules = make([]uplinks.Steering, 2)
	s.Outbound.Rules[0].IIF, s.Outbound.Rules[1].OIF = "office", "office"
	got := s.ResolveLinks(namedFacts(l, readyLink("wwan2")))
	if !slices.Equal(got.Inside, []string{"eth0", "lan0"}) || !slices.Equal(got.Interception.Intercepts[0].Links, []string{"wwan2", "eth0"}) ||
		got.Outbound.Rules[0].IIF != "eth0" || got.Outbound.Rules[1].OIF != "eth0" {
		t.Errorf("%+v", got)
	}
	if s.Interception.Intercepts[0].Links[0] != "wwan*" || s.Inside[0] != "office" || s.Outbound.Rules[0].IIF != "office" {
		t.Error("the settings themselves have changed")
	}
}

// Nothing in the kernel has the text of a pattern.
func TestPatternWithoutLinkIsInNoPlan(t *testing.T) {
	s, f := outboundSettings(), uplinkstest.Facts()
	s.Uplinks[0].Link, s.Uplinks[1].Link = "wwan*", strings.Repeat("x", 20)
	if plan := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String(); strings.Contains(plan, "wwan") || strings.Contains(plan, "xxx") {
		t.Error(plan)
	}
}

func TestLinksOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"eth0", "eth0", true}, {"eth0", "eth1", false}, {"eth0", "eth*", true}, {"ppp*", "ppp1*", true}, {"ppp*", "wwan*", false}, {"eth", "eth0*", false}, {"eth*", "eth", true}} {
		if uplinks.LinksOverlap(c.a, c.b) != c.want || uplinks.LinksOverlap(c.b, c.a) != c.want {
			t.Errorf("%s and %s: want %t", c.a, c.b, c.want)
		}
	}
}
