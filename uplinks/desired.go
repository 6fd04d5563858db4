package uplinks

import (
	"fmt"
	"slices"

	"replypath/marks"
)

// Desired is what should be in the kernel of a host that is like the facts, for an operator who asked for the
// settings. Settings without uplinks ask for nothing: what we changed goes back to what was found. Of facts that are only
// of some shares it is what should be in those, given all links.
func Desired(s Settings, f Facts) State {
	want := NewState()
	if f.Scopes != nil {
		for _, u := range s.Within(f.Scopes).Uplinks {
			addUplinkRoutes(want, s, f, u)
			if covers(f.Scopes, s.ScopeOf(u)) {
				addLinkTunables(want, s, f, u)
			}
		}
		return want
	}
	// Room for what an uplink has in both families: maps that grow cost more than what they hold.
	want.Rules = make(map[Rule]bool, 8*len(s.Uplinks))
	want.Routes = make(map[RouteKey]Route, 6*len(s.Uplinks))
	for _, family := range f.Families() {
		addRules(want, s, f, family)
		addChains(want, s, f, family)
	}
	for _, u := range s.Uplinks {
		addUplinkRoutes(want, s, f, u)
		addLinkTunables(want, s, f, u)
	}
	addNamespaceTunables(want, s, f)
	return want
}

// addUplinkRoutes adds what is in the uplink's table.
func addUplinkRoutes(want State, s Settings, f Facts, u Uplink) {
	l, _ := f.LinkOf(u)
	for _, family := range f.Families() {
		addTableRoutes(want, s, l, u, family)
	}
}

// addLinkTunables adds what is set of the uplink's link.
func addLinkTunables(want State, s Settings, f Facts, u Uplink) {
	if _, present := f.LinkOf(u); present {
		want.Tunables[Tunable{u.Link, LinkGroup}] = fmt.Sprint(s.Group)
		want.Tunables[Tunable{u.Link, SrcValidMark}] = "1"
	}
}

func (f Facts) Families() []Family {
	if f.IPv6 {
		return Families[:]
	}
	return Families[:1]
}

// Gateway is the uplink's in one family.
func (u Uplink) Gateway(f Family) Gateway {
	if f == IPv6 {
		return u.Gateway6
	}
	return u.Gateway4
}

// Manages reports whether the uplink is ours in the family. An uplink whose gateway in a family is not given is left
// alone there: we could only refuse its replies.
func (u Uplink) Manages(f Family) bool { return u.Gateway(f) != Gateway{} }

// Table is the number of the uplink's routing table.
func (s Settings) Table(u Uplink) Table { return s.TableBase + Table(u.ID) }

// Mark is what the uplink's connections wear.
func (s Settings) Mark(u Uplink) marks.Mark { return s.Mask.Mark(u.ID) }

func addChains(want State, s Settings, f Facts, family Family) {
	var ingress []marks.Ingress
	for _, u := range s.Uplinks {
		if u.Manages(family) {
			ingress = append(ingress, marks.Ingress{Link: u.Link, Mark: s.Mark(u)})
		}
	}
	tool, ok := f.Tools[family]
	if !ok || len(ingress) == 0 {
		return
	}
	for _, c := range marks.Chains(s.Mask, uint32(s.Group), ingress) {
		want.Chains[ChainKey{tool, c.Name}] = rulesText(c.Rules)
	}
	for _, h := range marks.Hooks {
		want.Hooks[HookKey{tool, h}] = hookInPlace
	}
}

// addNamespaceTunables takes what all uplinks need together, and gives back what was taken and is needed no more.
func addNamespaceTunables(want State, s Settings, f Facts) {
	for _, t := range namespaceTunables {
		if len(s.Uplinks) > 0 && (t.Name != Reflect6 || f.IPv6 && slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Manages(IPv6) })) {
			want.Tunables[t] = "1"
		}
	}
	for t, original := range f.Originals {
		if _, wanted := want.Tunables[t]; !wanted {
			want.Restored[t] = original
		}
	}
}
