package uplinkstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// Fake is a kernel in memory. It refuses what the real kernel refuses, and returns copies.
type Fake struct {
	Fail   func(uplinks.Step) error // called before each step; its error fails the step; may be nil
	Writes int                      // number of steps, failed ones too

	facts  uplinks.Facts
	rules  []ownedRule // in order of addition
	routes map[uplinks.RouteKey][]uplinks.Route
	values map[uplinks.Tunable]string
	tables map[uplinks.FirewallKey]table
	// The programs of [udp].
	udpPrograms map[uplinks.UDPPrograms]bool
	udpAddrs    map[netip.Addr]bool
	flows       map[marks.FlowState]bool // the flow table
	counters    map[marks.RouterCounters]bool
	backup      map[marks.Backup]bool
	filters     map[int]uplinks.EgressFilter
	classifiers map[int]uplinks.RouterClassifier
	neighbours  map[uplinks.NeighbourKey]string
}

type ownedRule struct {
	rule     uplinks.Rule
	protocol uint8
}

// foreignProtocol is the protocol of foreign rules and routes (rtnetlink(7), RTPROT_STATIC).
const foreignProtocol = 4

// ErrExists is the error for a rule that exists.
var ErrExists = errors.New("file exists")

// NewFake returns a kernel with the facts, without objects of replypath's and with every tunable at 0.
func NewFake(f uplinks.Facts) *Fake {
	k := &Fake{
		facts:       clone(f),
		routes:      map[uplinks.RouteKey][]uplinks.Route{},
		values:      map[uplinks.Tunable]string{},
		tables:      map[uplinks.FirewallKey]table{},
		udpPrograms: map[uplinks.UDPPrograms]bool{},
		udpAddrs:    map[netip.Addr]bool{},
		flows:       map[marks.FlowState]bool{},
		counters:    map[marks.RouterCounters]bool{},
		backup:      map[marks.Backup]bool{},
		filters:     map[int]uplinks.EgressFilter{},
		classifiers: map[int]uplinks.RouterClassifier{},
		neighbours:  map[uplinks.NeighbourKey]string{},
	}
	for _, t := range append(uplinks.Sysctls(f), uplinks.SourceSysctls(f)...) {
		k.values[t] = "0"
	}
	for name := range f.Links {
		k.values[uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}] = "0"
	}
	for _, firewall := range f.Firewalls {
		k.tables[firewall] = newTable()
	}
	return k
}

// SetFacts changes the facts of the host. The routes and tunables of a deleted link are deleted.
func (k *Fake) SetFacts(f uplinks.Facts) {
	originals := k.facts.Originals
	k.facts = clone(f)
	k.facts.Originals = originals
	for key, routes := range k.routes {
		k.routes[key] = slices.DeleteFunc(routes, func(r uplinks.Route) bool {
			_, exists := f.Links[r.Link]
			return r.Link != "" && !exists
		})
	}
	maps.DeleteFunc(k.values, func(t uplinks.Tunable, _ string) bool {
		_, exists := f.Links[t.Link]
		return t.Link != "" && !exists
	})
	for name := range f.Links {
		for _, t := range []uplinks.Tunable{{Link: name, Name: uplinks.LinkGroup}, {Link: name, Name: uplinks.SrcValidMark}, {Link: name, Name: uplinks.UseOIFAddrsOnly}} {
			if _, exists := k.values[t]; !exists {
				k.values[t] = "0"
			}
		}
	}
	for _, firewall := range f.Firewalls {
		if k.tables[firewall] == nil {
			k.tables[firewall] = newTable()
		}
	}
}

// Observe returns copies of the facts and the state.
func (k *Fake) Observe(ctx context.Context, scopes ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	have := uplinks.NewState()
	maps.Copy(have.Tunables, k.values)
	maps.Copy(have.Flows, k.flows)
	for _, r := range k.rules {
		if r.protocol == uplinks.Protocol {
			have.Rules[r.rule] = true
		}
	}
	for key, routes := range k.routes {
		for n, r := range routes {
			key.Nth = n
			have.Routes[key] = r
		}
	}
	if scopes != nil {
		return factsWithin(k.facts, scopes), stateWithin(have, scopes), ctx.Err()
	}
	maps.Copy(have.Neighbours, k.neighbours)
	maps.Copy(have.RouterCounters, k.counters)
	maps.Copy(have.Backup, k.backup)
	k.observeLinkPrograms(have)
	maps.Copy(have.UDPPrograms, k.udpPrograms)
	maps.Copy(have.UDPAddrs, k.udpAddrs)
	for firewall, t := range k.tables {
		t.observe(firewall, have)
	}
	return clone(k.facts), have, ctx.Err()
}

// factsWithin returns the part of the facts in the scopes.
func factsWithin(f uplinks.Facts, scopes []uplinks.Scope) uplinks.Facts {
	p := uplinks.Facts{IPv6: f.IPv6, Links: map[string]uplinks.Link{}, Scopes: scopes}
	for _, s := range scopes {
		if l, there := f.Links[s.Link]; there {
			p.Links[s.Link] = l
		}
	}
	for _, r := range f.GatewayRoutes {
		if _, there := p.Links[r.Link]; there {
			p.GatewayRoutes = append(p.GatewayRoutes, r)
		}
	}
	return clone(p)
}

// clone returns a deep copy of the facts.
func clone(f uplinks.Facts) uplinks.Facts {
	f.Links, f.Firewalls, f.Originals = maps.Clone(f.Links), maps.Clone(f.Firewalls), maps.Clone(f.Originals)
	for name, l := range f.Links {
		l.Addrs, l.Defaults, l.Connected = slices.Clone(l.Addrs), slices.Clone(l.Defaults), slices.Clone(l.Connected)
		f.Links[name] = l
	}
	if f.Originals == nil {
		f.Originals = map[uplinks.Tunable]uplinks.Original{}
	}
	f.GatewayRoutes, f.UnreachableDefault = slices.Clone(f.GatewayRoutes), maps.Clone(f.UnreachableDefault)
	return f
}

// Apply executes one step, and saves the original of a tunable before.
func (k *Fake) Apply(ctx context.Context, s uplinks.Step) error {
	k.Writes++
	if k.Fail != nil {
		if err := k.Fail(s); err != nil {
			return err
		}
	}
	if t, ok := s.(uplinks.SetTunable); ok {
		if _, exists := k.values[t.Tunable]; !exists {
			return fmt.Errorf("%s: no such tunable", t.Tunable)
		}
		k.saveOriginal(t)
	}
	return errors.Join(ctx.Err(), k.applyStep(s))
}

// saveOriginal keeps the first value that a tunable had before us, until it is back.
func (k *Fake) saveOriginal(s uplinks.SetTunable) {
	original, known := k.facts.Originals[s.Tunable]
	if !known {
		original = uplinks.Original{LinkIndex: k.facts.Links[s.Tunable.Link].Index, Value: s.Old}
	}
	original.Applied = s.Value
	k.facts.Originals[s.Tunable] = original
	if original.Value == s.Value {
		delete(k.facts.Originals, s.Tunable)
	}
}

// applyStep writes a step's object.
func (k *Fake) applyStep(s uplinks.Step) error {
	w := fakeWriter{k: k}
	s.WriteTo(&w)
	return w.err
}

// fakeWriter writes one object to the Fake.
type fakeWriter struct {
	k   *Fake
	err error
}

// AddRule adds a rule of replypath's.
func (w *fakeWriter) AddRule(r uplinks.Rule) { w.err = w.k.addRule(r, uplinks.Protocol) }

// DelRule deletes a rule, if it exists.
func (w *fakeWriter) DelRule(r uplinks.Rule) { w.k.delRule(r) }

// SetRoute adds or replaces a route.
func (w *fakeWriter) SetRoute(key uplinks.RouteKey, r uplinks.Route) { w.err = w.k.setRoute(key, r) }

// DelRoute deletes a route, if it exists.
func (w *fakeWriter) DelRoute(key uplinks.RouteKey, r uplinks.Route) { w.k.delRoute(key, r) }

// SetTunable sets a value.
func (w *fakeWriter) SetTunable(s uplinks.SetTunable) { w.k.values[s.Tunable] = s.Value }

// LoadChains changes a firewall.
func (w *fakeWriter) LoadChains(s uplinks.LoadChains) {
	w.err = w.k.runIptables(s.Firewall, s.Change.Commands())
}

// delRoute deletes the first route that equals the given one.
func (k *Fake) delRoute(key uplinks.RouteKey, r uplinks.Route) {
	key.Nth = 0
	if at := slices.Index(k.routes[key], r); at >= 0 {
		k.routes[key] = slices.Delete(k.routes[key], at, at+1)
	}
}

// addRule adds a rule, unless it has a duplicate or is a goto back.
func (k *Fake) addRule(r uplinks.Rule, protocol uint8) error {
	add := ownedRule{r, protocol}
	if slices.ContainsFunc(k.rules, func(have ownedRule) bool { return have.duplicateKey() == add.duplicateKey() }) {
		return fmt.Errorf("add %s: %w", r, ErrExists)
	}
	if r.Action == uplinks.Goto && r.Goto <= r.Priority {
		return fmt.Errorf("add %s: a goto leads forward only", r)
	}
	k.rules = append(k.rules, add)
	return nil
}

// duplicateKey returns the fields that the kernel compares (net/core/fib_rules.c, rule_exists).
func (r ownedRule) duplicateKey() ownedRule {
	r.rule.Not, r.rule.Goto = false, 0
	return r
}

// delRule deletes the first rule with the selectors of the given one, whatever others it has (rule_find).
func (k *Fake) delRule(r uplinks.Rule) {
	at := slices.IndexFunc(k.rules, func(have ownedRule) bool {
		if r.IIF == "" {
			have.rule.IIF = ""
		}
		if !r.From.IsValid() {
			have.rule.From = r.From
		}
		if r.Mark == 0 {
			have.rule.Mark = 0
		}
		if r.Mask == 0 {
			have.rule.Mask = 0
		}
		if r.Other == "" {
			have.rule.Other = ""
		}
		return have.duplicateKey() == ownedRule{r, uplinks.Protocol}.duplicateKey()
	})
	if at >= 0 {
		k.rules = slices.Delete(k.rules, at, at+1)
	}
}

// setRoute replaces the first route with the key, also a foreign one.
func (k *Fake) setRoute(key uplinks.RouteKey, r uplinks.Route) error {
	links := []string{r.Link}
	if !r.Hops.IsEmpty() {
		links = nil
		for _, h := range r.Hops.Values() {
			links = append(links, h.Link)
		}
	}
	for _, link := range links {
		if l, exists := k.facts.Links[link]; r.Type == uplinks.Unicast && (!exists || !l.Up) {
			return fmt.Errorf("link %q is not there, or down", link)
		}
	}
	key.Nth = 0
	if len(k.routes[key]) == 0 {
		k.routes[key] = []uplinks.Route{r}
	}
	k.routes[key][0] = r
	return nil
}
