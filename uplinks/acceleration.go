package uplinks

import (
	"fmt"
	"maps"
	"slices"

	"replypath/marks"
)

// Acceleration says on which links established connections that are forwarded go by a flow table.
type Acceleration struct {
	All   bool     `json:",omitempty"` // the uplinks, and every link inside that can
	Links []string `json:",omitempty"` // otherwise these
}

// NotAccelerated is a link that is not in the flow table, and why.
type NotAccelerated struct {
	Link   string `json:"link"`
	Reason string `json:"reason"`
}

// FlowTable returns the flow table of the settings on the host, and which links are left out of it. ok is false when there is
// none: it needs an uplink and another link.
func (s Settings) FlowTable(f Facts) (t marks.FlowTable, out []NotAccelerated, ok bool) {
	if s.Accelerate == nil || len(s.Uplinks) == 0 {
		return t, nil, false
	}
	s = s.ResolveLinks(f)
	var ups []marks.FlowLink
	var inside []string
	links := s.acceleratedLinks(f)
	for _, name := range links {
		u := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return u.Link == name })
		reason := s.notAccelerated(f, name, links)
		if reason == "" && len(ups)+len(inside) == marks.MaxFlowLinks {
			reason = fmt.Sprintf("a flow table has %d links at most", marks.MaxFlowLinks)
		}
		switch {
		case reason != "":
			out = append(out, NotAccelerated{name, reason})
		case u >= 0:
			ups = append(ups, marks.FlowLink{Name: name, Mark: s.Mark(s.Uplinks[u])})
		default:
			inside = append(inside, name)
		}
	}
	return marks.NewFlowTable(s.Mask, ups, inside), out, len(ups) > 0 && len(ups)+len(inside) > 1
}

// acceleratedLinks returns the links that the settings name, or all that packets come in by, each once, those of uplinks first. Of
// all links those that carry VLANs are none.
func (s Settings) acceleratedLinks(f Facts) (all []string) {
	named := s.Accelerate.Links
	if s.Accelerate.All {
		carriers := map[int]bool{}
		for _, l := range f.Links {
			if l.Kind == vlanKind {
				carriers[l.Lower] = true
			}
		}
		named = slices.DeleteFunc(slices.Sorted(maps.Keys(f.Links)), func(name string) bool {
			l := f.Links[name]
			return l.Isolated || l.Master != 0 || l.VRF != 0 || carriers[l.Index]
		})
	}
	for _, u := range s.Uplinks {
		if s.Accelerate.All || slices.Contains(named, u.Link) {
			all = append(all, u.Link)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return append(all, slices.DeleteFunc(slices.Clone(named), func(name string) bool { return slices.Contains(all, name) })...)
}

// uplinksOn returns the number of uplinks on the link.
func (s Settings) uplinksOn(name string) (n int) {
	for _, u := range s.Uplinks {
		if u.Link == name {
			n++
		}
	}
	return n
}

// vlanKind is the kind of a VLAN.
const vlanKind = "vlan"

// maxStacked is how many links can be stacked (include/linux/netdevice.h, MAX_NEST_DEV).
const maxStacked = 8

// below returns that of the links which the link is stacked on, "" for none.
func (f Facts) below(l Link, links []string) string {
	for range maxStacked {
		name, found := f.LinkName(l.Lower)
		switch {
		case l.Lower == 0 || !found:
			return ""
		case slices.Contains(links, name):
			return name
		}
		l = f.Links[name]
	}
	return ""
}

// flowKinds are the kinds of links that flow tables are shown to be right on. Packets of a bridge, bond or VLAN meet the flow
// table when they have left the port below, which is not in it.
var flowKinds = []string{"device", "veth", "bridge", "bond", vlanKind}

// notAccelerated returns why the link cannot be in the flow table beside the others, "" if it can.
func (s Settings) notAccelerated(f Facts, name string, beside []string) string {
	l, exists := f.Links[name]
	lower := f.below(l, beside)
	switch {
	case !exists:
		return "there is no such link"
	case l.VRF != 0:
		return "it is in a VRF"
	case l.Master != 0:
		return "it is a port of " + f.MasterOf(l)
	case l.Isolated:
		return "no packet comes in by it"
	case l.MAC == "" || l.PointToPoint:
		return "it has no Ethernet header"
	case !slices.Contains(flowKinds, l.Kind):
		return "it is of the kind " + l.Kind
	case l.Kind == vlanKind && lower != "":
		return "it is a VLAN on " + lower + ", which is accelerated too"
	case s.uplinksOn(name) > 1:
		return "several uplinks are on it"
	case s.FindsRoutersOn(name):
		return "replies leave by any router on it"
	case f.FlowTables[name] != "":
		return "it is in the flow table " + f.FlowTables[name] + " of another program"
	}
	return ""
}

// addAcceleration adds the flow table.
func addAcceleration(want State, s Settings, f Facts, _ Verdicts) {
	if t, _, ok := s.FlowTable(f); ok && f.FlowRefused == "" {
		want.Flows[marks.FlowState{FlowTable: t}] = true
	}
}

// pauseFlows surrounds the steps by the end of the flow table that exists, and its return: a connection in it would keep the
// route that it had. Without other steps it replaces a table that differs, in one transaction.
func pauseFlows(steps Plan, want, have State) Plan {
	missing, extra := delta(want.Flows, have.Flows, oneKey)
	switch {
	case len(have.Flows) == 0:
	case len(want.Flows) == 0:
		steps = slices.Concat(Plan{DelFlows{}}, steps)
	case len(steps) > 0:
		steps = slices.Concat(Plan{DelFlows{Pause: true}}, steps)
		if len(missing)+len(extra) == 0 {
			for f := range want.Flows {
				steps = append(steps, SetFlows{Table: f.FlowTable, Resume: true})
			}
		}
	}
	for _, f := range missing {
		steps = append(steps, SetFlows{Table: f.FlowTable})
	}
	return steps
}

// WithoutPause returns the steps that last: without the end and the return of the flow table for the time of the others.
func (p Plan) WithoutPause() Plan {
	return slices.DeleteFunc(slices.Clone(p), isPause)
}

// Paused returns the steps, some of those of the plan, surrounded as the plan surrounds its own.
func (p Plan) Paused(steps Plan) Plan {
	if len(steps) == 0 || len(p) == 0 {
		return steps
	}
	if isPause(p[0]) {
		steps = slices.Concat(Plan{p[0]}, steps)
	}
	if last := p[len(p)-1]; isPause(last) {
		steps = append(steps, last)
	}
	return steps
}

func isPause(s Step) bool {
	switch s := s.(type) {
	case DelFlows:
		return s.Pause
	case SetFlows:
		return s.Resume
	}
	return false
}

// SetFlows makes the flow table, in place of one that exists.
type SetFlows struct {
	hostStep
	Table  marks.FlowTable
	Resume bool // it was only taken away for the time of other steps
}

// DelFlows deletes the flow table: the packets of all connections take the rules and routes again.
type DelFlows struct {
	hostStep
	Pause bool // only for the time of other steps
}

// String returns the command of nft.
func (s SetFlows) String() string { return "nft '" + s.Table.NFTCommand() + "'" }

// String returns the command of nft.
func (DelFlows) String() string { return "nft '" + marks.NFTDelete + "'" }

// Kind returns KindFlows.
func (SetFlows) Kind() Kind { return KindFlows }

// Kind returns KindFlows.
func (DelFlows) Kind() Kind { return KindFlows }

// Removes reports false.
func (SetFlows) Removes() bool { return false }

// Removes reports false: what follows waits for it.
func (DelFlows) Removes() bool { return false }

// WriteTo makes the flow table.
func (s SetFlows) WriteTo(w Writer) { w.SetFlows(s.Table) }

// WriteTo deletes the flow table.
func (DelFlows) WriteTo(w Writer) { w.DelFlows() }
