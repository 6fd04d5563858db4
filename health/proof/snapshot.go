package proof

import (
	"fmt"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// Snapshot is what of the host verdicts name.
type Snapshot struct {
	Facts  uplinks.Facts
	Rules  map[uplinks.Rule]bool // ours
	Routes map[uplinks.RouteKey]uplinks.Route
	Values map[uplinks.Tunable]string // of Sysctls
	SetBy  map[uplinks.Tunable]string // the file that sets it at boot, where there is one
}

// sysctl names a sysctl, its value, and who set it.
func (g Snapshot) sysctl(t uplinks.Tunable) string {
	text := fmt.Sprintf("%s = %s", t, g.Values[t])
	if file := g.SetBy[t]; file != "" {
		text += fmt.Sprintf(" (set in %s)", file)
	}
	return text
}

// hasDefaultRoute reports whether the path's table has a way out.
func (g Snapshot) hasDefaultRoute(p health.Path) bool {
	for key, r := range g.Routes {
		if key.Family == p.Family && key.Table == p.Table && key.Dst == p.Family.DefaultPrefix() && r.Type == uplinks.Unicast {
			return true
		}
	}
	return false
}

// linkName names a link by its index.
func (g Snapshot) linkName(index int) string {
	for name, l := range g.Facts.Links {
		if l.Index == index {
			return name
		}
	}
	return fmt.Sprintf("link %d", index)
}

// rulesInOrder are all rules of a family in the order in which the kernel asks them.
func (g Snapshot) rulesInOrder(f uplinks.Family) []uplinks.Rule {
	var all []uplinks.Rule
	for r := range g.Rules {
		if r.Family == f {
			all = append(all, r)
		}
	}
	for _, r := range g.Facts.ForeignRules {
		if r.Family == f {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b uplinks.Rule) int { return int(int64(a.Priority) - int64(b.Priority)) })
	return all
}

// Sysctls are those that verdicts on these paths go by.
func Sysctls(paths []health.Path) []uplinks.Tunable {
	all := []uplinks.Tunable{echoIgnored[uplinks.IPv4], echoIgnored[uplinks.IPv6], rpFilter("all"), srcValidMark("all")}
	for _, p := range paths {
		if p.Family == uplinks.IPv4 {
			all = append(all, rpFilter(p.Link), srcValidMark(p.Link))
		}
	}
	return all
}

var echoIgnored = map[uplinks.Family]uplinks.Tunable{
	uplinks.IPv4: {Name: "net.ipv4.icmp_echo_ignore_all"},
	uplinks.IPv6: {Name: "net.ipv6.icmp.echo_ignore_all"},
}

func rpFilter(link string) uplinks.Tunable {
	return uplinks.Tunable{Link: link, Name: "net.ipv4.conf.*.rp_filter"}
}

func srcValidMark(link string) uplinks.Tunable {
	return uplinks.Tunable{Link: link, Name: uplinks.SrcValidMark}
}

// strictRPFilter reports whether the source check of the link is strict, by the larger of the two values.
func (g Snapshot) strictRPFilter(link string) bool {
	return max(g.Values[rpFilter("all")], g.Values[rpFilter(link)]) == "1"
}
