package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// foreignGroup is a link group that links of uplinks had before replypath.
type foreignGroup struct {
	links []string
	group uplinks.Group
	taken bool // replypath has replaced it
}

// foreignGroups returns the groups of the present uplinks' links. A link that is in replypath's group, and whose original
// is not known, has none.
func (s Snapshot) foreignGroups() (all []foreignGroup) {
	for _, u := range s.presentUplinks() {
		group, taken := s.Facts.Links[u.Link].Group, false
		if group == s.Settings.Group {
			original, saved := s.Facts.Originals[uplinks.Tunable{Link: u.Link, Name: uplinks.LinkGroup}]
			n, err := strconv.ParseUint(original.Value, 10, 32)
			if !saved || err != nil {
				continue
			}
			group, taken = uplinks.Group(n), true
		}
		if group == s.Settings.Group {
			continue
		}
		i := slices.IndexFunc(all, func(g foreignGroup) bool { return g.group == group && g.taken == taken })
		if i < 0 {
			i, all = len(all), append(all, foreignGroup{group: group, taken: taken})
		}
		all[i].links = append(all[i].links, u.Link)
	}
	return all
}

// checkLinkGroups reports link groups of other programs that replypath replaces. A firewall rule that compares one does not
// match the uplink any more, or matches it from then on.
func (s Snapshot) checkLinkGroups() (all []Finding) {
	for _, g := range s.foreignGroups() {
		rules := s.firewallRules(func(r foreign.Rule) bool { return s.asksFor(r.InGroup, g.group) || s.asksFor(r.OutGroup, g.group) })
		change := fmt.Sprintf("replypath replaces the link group %d of %s by %d", g.group, commaList(g.links), s.Settings.Group)
		if g.taken {
			change = fmt.Sprintf("replypath has replaced the link group %d of %s by %d", g.group, commaList(g.links), s.Settings.Group)
		}
		f := Finding{ID: "link-group", Severity: Warning, Evidence: limitEvidence(rules), Message: change, Remedy: s.groupRemedy(g)}
		switch {
		case len(rules) > 0:
			f.Severity = Error
			f.Message += fmt.Sprintf(", and firewall rules go by it: they no longer take %s for a link of group %d", commaList(g.links), g.group)
		case g.group == 0:
			continue
		case g.taken:
			f.Severity = Note
			f.Remedy = fmt.Sprintf("none needed: no firewall rule goes by group %d, and replypath flush restores it", g.group)
		default:
			f.Message += ": what goes by that group does not mean these links any more"
		}
		all = append(all, f)
	}
	return all
}

// asksFor reports whether a rule's match of a link group gives another result for the group than for replypath's.
func (s Snapshot) asksFor(match string, group uplinks.Group) bool {
	if match == "" {
		return false
	}
	value, maskText, masked := strings.Cut(match, "/")
	mask := marks.FullMask
	if masked {
		n, err := strconv.ParseUint(maskText, 0, 32)
		if err != nil {
			return true
		}
		mask = marks.Mask(n)
	}
	n, err := strconv.ParseUint(value, 0, 32)
	wanted := uplinks.Group(n)
	if err != nil {
		named, known := s.GroupNumbers[value]
		if wanted = named; !known {
			return true // the elements of a set, and names, may be any
		}
	}
	matches := func(g uplinks.Group) bool { return g&uplinks.Group(mask) == wanted }
	return matches(group) != matches(s.Settings.Group)
}

// groupRemedy returns how both uses of the group can go on. The group itself can be replypath's if all uplinks and no other
// links are in it.
func (s Snapshot) groupRemedy(g foreignGroup) string {
	byName := "match the links by name in those rules (iptables: -i LINK, -o LINK; nft: iifname, oifname)"
	if g.group == 0 {
		return byName
	}
	byName += fmt.Sprintf(", and take them out of group %d where it is configured (ip link set LINK group 0; Group= in systemd.network)", g.group)
	others := len(g.links) < len(s.Settings.Uplinks)
	for name, l := range s.Facts.Links {
		others = others || l.Group == g.group && !slices.Contains(g.links, name)
	}
	if others {
		return byName
	}
	return fmt.Sprintf("set link_group = %d, as all uplinks and no other links are in it, or %s", g.group, byName)
}
