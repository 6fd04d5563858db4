package proof

import (
	"fmt"
	"slices"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Snapshot is the state of the host that verdicts are explained by.
type Snapshot struct {
	Facts  uplinks.Facts
	Rules  map[uplinks.Rule]bool              // replypath's
	Routes map[uplinks.RouteKey]uplinks.Route // replypath's
	Values map[uplinks.Tunable]string         // of Sysctls
	SetBy  map[uplinks.Tunable]string         // the file that sets the value at boot, where there is one
	Names  rpdb.Names                         // for the owners of foreign rules
}

// sysctl returns the sysctl with its value and the file that sets it.
func (s Snapshot) sysctl(t uplinks.Tunable) string {
	text := fmt.Sprintf("%s = %s", t, s.Values[t])
	if file := s.SetBy[t]; file != "" {
		text += fmt.Sprintf(" (set in %s)", file)
	}
	return text
}

// hasDefaultRoute reports whether the path's table has a unicast default route.
func (s Snapshot) hasDefaultRoute(p health.Path) bool {
	for key, r := range s.Routes {
		if key.Family == p.Family && key.Table == p.Table && key.Dst == p.Family.DefaultPrefix() && r.Type == uplinks.Unicast {
			return true
		}
	}
	return false
}

// linkName returns the name of the interface with that index.
func (s Snapshot) linkName(index int) string {
	for name, l := range s.Facts.Links {
		if l.Index == index {
			return name
		}
	}
	return fmt.Sprintf("interface %d", index)
}

// rulesInOrder returns the rules of a family, replypath's and foreign ones, in the order in which the kernel evaluates them.
func (s Snapshot) rulesInOrder(f uplinks.Family) []uplinks.Rule {
	var all []uplinks.Rule
	for r := range s.Rules {
		if r.Family == f {
			all = append(all, r)
		}
	}
	for _, r := range s.Facts.ForeignRules {
		if r.Family == f {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b uplinks.Rule) int { return int(int64(a.Priority) - int64(b.Priority)) })
	return all
}

// Sysctls returns the sysctls that a Snapshot for these paths needs.
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

// strictRPFilter reports whether the source check of the interface is strict: the larger of its value and that of all applies.
func (s Snapshot) strictRPFilter(link string) bool {
	return max(s.Values[rpFilter("all")], s.Values[rpFilter(link)]) == "1"
}
