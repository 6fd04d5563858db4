package uplinks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"

	"replypath/marks"
	"replypath/uplinks"
)

// packet has the fields of a packet that rules can select by.
type packet struct {
	family uplinks.Family
	mark   uint32
	in     string // "lo": sent by the host
	from   netip.Addr
	to     netip.Addr
}

// rpdb is a routing policy database: rules by priority, those of one priority in order of addition.
type rpdb []uplinks.Rule

func (db *rpdb) add(r uplinks.Rule) {
	at := slices.IndexFunc(*db, func(have uplinks.Rule) bool { return have.Priority > r.Priority })
	if at < 0 {
		at = len(*db)
	}
	*db = slices.Insert(*db, at, r)
}

func (db *rpdb) del(r uplinks.Rule) {
	if at := slices.Index(*db, r); at >= 0 {
		*db = slices.Delete(*db, at, at+1)
	}
}

// lookup is a look-up in a table, with the suppressors of its rule.
type lookup struct {
	table  uplinks.Table
	length int32
	group  int64
}

func (l lookup) String() string {
	return fmt.Sprintf("%s suppress_prefixlength %d suppress_ifgroup %d", l.table, l.length, l.group)
}

// walk evaluates the rules as fib_rules_lookup does, until accept takes a look-up.
func (db rpdb) walk(f packet, accept func(lookup) bool) {
	for at := 0; at < len(db); at++ {
		r := &db[at]
		if r.Family != f.family || matches(r, f) == r.Not {
			continue
		}
		switch r.Action {
		case uplinks.Lookup:
			if accept(lookup{r.Table, r.SuppressLength, r.SuppressGroup}) {
				return
			}
		case uplinks.Goto:
			if target, exists := db.target(r); exists {
				at = target - 1
			}
		}
	}
}

// target returns the index of the first rule at the priority of the goto.
func (db rpdb) target(r *uplinks.Rule) (at int, exists bool) {
	for at = sort.Search(len(db), func(i int) bool { return db[i].Priority >= r.Goto }); at < len(db) && db[at].Priority == r.Goto; at++ {
		if db[at].Family == r.Family {
			return at, true
		}
	}
	return 0, false
}

func matches(r *uplinks.Rule, f packet) bool {
	return (r.IIF == "" || r.IIF == f.in) &&
		(r.Mask == 0 || f.mark&uint32(r.Mask) == uint32(r.Mark)) &&
		(!r.From.IsValid() || f.from.IsValid() && r.From.Contains(f.from))
}

// lookups returns all look-ups of a packet that has a route in no table.
func (db rpdb) lookups(f packet) (all []lookup) {
	db.walk(f, func(l lookup) bool {
		all = append(all, l)
		return false
	})
	return all
}

// kernelModel has the rules, routes and link groups that steps write. It is an uplinks.Writer.
type kernelModel struct {
	rules  rpdb
	routes map[uplinks.Table]map[uplinks.RouteKey]uplinks.Route
	groups map[string]int64
}

// newKernelModel returns a kernel with these routes, and the rules for main.
func newKernelModel(routes map[uplinks.RouteKey]uplinks.Route) *kernelModel {
	k := &kernelModel{routes: map[uplinks.Table]map[uplinks.RouteKey]uplinks.Route{}, groups: map[string]int64{}}
	for _, family := range uplinks.Families {
		k.AddRule(uplinks.Rule{Family: family, Priority: uplinks.MainPriority, Action: uplinks.Lookup, Table: uplinks.MainTable,
			SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress})
	}
	for key, r := range routes {
		k.SetRoute(key, r)
	}
	return k
}

// nextHop is the result of a look-up: a route by a link, an unreachable route, or no route.
type nextHop struct {
	gateway     netip.Addr
	link        string
	unreachable bool
}

func (k *kernelModel) apply(step uplinks.Step) { step.WriteTo(k) }

func (k *kernelModel) AddRule(r uplinks.Rule) { k.rules.add(r) }

func (k *kernelModel) DelRule(r uplinks.Rule) { k.rules.del(r) }

func (k *kernelModel) SetRoute(key uplinks.RouteKey, r uplinks.Route) {
	if k.routes[key.Table] == nil {
		k.routes[key.Table] = map[uplinks.RouteKey]uplinks.Route{}
	}
	k.routes[key.Table][key] = r
}

func (k *kernelModel) DelRoute(key uplinks.RouteKey, r uplinks.Route) {
	if k.routes[key.Table][key] == r {
		delete(k.routes[key.Table], key)
	}
}

func (k *kernelModel) SetTunable(s uplinks.SetTunable) {
	if s.Tunable.Name == uplinks.LinkGroup {
		var group int64
		fmt.Sscan(s.Value, &group)
		k.groups[s.Tunable.Link] = group
	}
}

// LoadChains does nothing: the packets of the model have their marks.
func (k *kernelModel) LoadChains(uplinks.LoadChains) {}

// MoveMark deletes the rules, likewise.
func (k *kernelModel) MoveMark(s uplinks.MoveMark) {
	for _, r := range s.Rules {
		k.rules.del(r)
	}
}

// route returns the next hop of the packet.
func (k *kernelModel) route(f packet) (hop nextHop) {
	k.rules.walk(f, func(l lookup) bool {
		key, r, found := k.best(l.table, f)
		switch {
		case !found, int32(key.Dst.Bits()) <= l.length, l.group != uplinks.NoSuppress && r.Link != "" && k.groups[r.Link] == l.group:
			return false
		case r.Type != uplinks.Unicast:
			hop.unreachable = true
		default:
			hop.gateway, hop.link = r.Gateway, r.Link
		}
		return true
	})
	return hop
}

// best returns the route with the longest prefix, among those the one with the smallest metric.
func (k *kernelModel) best(t uplinks.Table, f packet) (key uplinks.RouteKey, r uplinks.Route, found bool) {
	for have, route := range k.routes[t] {
		if have.Family != f.family || !have.Dst.Contains(f.to) {
			continue
		}
		if !found || have.Dst.Bits() > key.Dst.Bits() || have.Dst.Bits() == key.Dst.Bits() && have.Metric < key.Metric {
			key, r, found = have, route, true
		}
	}
	return key, r, found
}

// AttachUDP does nothing: the programs of [udp] choose a source before a packet is routed.
func (k *kernelModel) AttachUDP(uplinks.AttachUDP) {}

// DetachUDP does nothing.
func (k *kernelModel) DetachUDP() {}

// AllowUDPAddr does nothing.
func (k *kernelModel) AllowUDPAddr(netip.Addr) {}

// ForbidUDPAddr does nothing.
func (k *kernelModel) ForbidUDPAddr(netip.Addr) {}

// SetNeighbour does nothing: the model knows next hops, and no frames.
func (k *kernelModel) SetNeighbour(uplinks.NeighbourKey, string) {}

// DelNeighbour does nothing.
func (k *kernelModel) DelNeighbour(uplinks.NeighbourKey) {}

// SetFlows does nothing: a flow table keeps the path that the rules chose.
func (k *kernelModel) SetFlows(marks.FlowTable) {}

// DelFlows does nothing.
func (k *kernelModel) DelFlows() {}

// SetRouterCounters does nothing: counters change no packet.
func (k *kernelModel) SetRouterCounters(marks.RouterCounters) {}

// DelRouterCounters does nothing.
func (k *kernelModel) DelRouterCounters() {}

// SetBackup does nothing: it gives packets the marks that they have, and translates what the model does not.
func (k *kernelModel) SetBackup(marks.Backup) {}

// SetEgressFilter does nothing: it drops what the model does not send.
func (k *kernelModel) SetEgressFilter(uplinks.EgressFilter) {}

// DelEgressFilter does nothing.
func (k *kernelModel) DelEgressFilter(uplinks.EgressFilter) {}

// SetRouterClassifier does nothing: in the model the rules know all routers.
func (k *kernelModel) SetRouterClassifier(uplinks.RouterClassifier) {}

// DelRouterClassifier does nothing.
func (k *kernelModel) DelRouterClassifier(uplinks.RouterClassifier) {}

// DelBackup does nothing.
func (k *kernelModel) DelBackup() {}
