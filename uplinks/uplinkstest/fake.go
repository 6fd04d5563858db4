package uplinkstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"replypath/uplinks"
)

// Fake is a kernel in memory. It refuses what the kernel refuses, and hands out copies.
type Fake struct {
	Fail   func(uplinks.Step) error // asked before each step; nil lets all pass
	Writes int                      // steps that were asked for, whether they failed or not

	facts  uplinks.Facts
	rules  []ownedRule // in the order in which they were added
	routes map[uplinks.RouteKey][]uplinks.Route
	values map[uplinks.Tunable]string
	tables map[uplinks.Tool]table
}

type ownedRule struct {
	rule     uplinks.Rule
	protocol uint8
}

// stranger is the protocol of what other programs add by hand (rtnetlink(7), RTPROT_STATIC).
const stranger = 4

// ErrExists is what the Fake says to a rule that it has already.
var ErrExists = errors.New("file exists")

// NewFake is a kernel of a host like the facts, with nothing of ours in it and every tunable at 0.
func NewFake(f uplinks.Facts) *Fake {
	k := &Fake{
		facts:  clone(f),
		routes: map[uplinks.RouteKey][]uplinks.Route{},
		values: map[uplinks.Tunable]string{},
		tables: map[uplinks.Tool]table{},
	}
	for _, t := range uplinks.Sysctls(f) {
		k.values[t] = "0"
	}
	for name := range f.Links {
		k.values[uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}] = "0"
	}
	for _, tool := range f.Tools {
		k.tables[tool] = newTable()
	}
	return k
}

// SetFacts makes the host like the facts from now on; a link that is gone takes its routes and tunables along.
func (k *Fake) SetFacts(f uplinks.Facts) {
	found := k.facts.Found
	k.facts = clone(f)
	k.facts.Found = found
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
		for _, t := range []uplinks.Tunable{{Link: name, Name: uplinks.LinkGroup}, {Link: name, Name: uplinks.SrcValidMark}} {
			if _, exists := k.values[t]; !exists {
				k.values[t] = "0"
			}
		}
	}
	for _, tool := range f.Tools {
		if k.tables[tool] == nil {
			k.tables[tool] = newTable()
		}
	}
}

// Observe hands out copies of what the host is like and of what is ours.
func (k *Fake) Observe(ctx context.Context, only ...uplinks.Share) (uplinks.Facts, uplinks.State, error) {
	have := uplinks.NewState()
	maps.Copy(have.Tunables, k.values)
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
	if only != nil {
		return part(k.facts, only), within(have, only), ctx.Err()
	}
	for tool, t := range k.tables {
		t.observe(tool, have)
	}
	return clone(k.facts), have, ctx.Err()
}

// part is what facts say of some shares.
func part(f uplinks.Facts, only []uplinks.Share) uplinks.Facts {
	p := uplinks.Facts{IPv6: f.IPv6, Links: map[string]uplinks.Link{}, Only: only}
	for _, s := range only {
		if l, there := f.Links[s.Link]; there {
			p.Links[s.Link] = l
		}
	}
	for _, r := range f.Routed {
		if _, there := p.Links[r.Link]; there {
			p.Routed = append(p.Routed, r)
		}
	}
	return clone(p)
}

func clone(f uplinks.Facts) uplinks.Facts {
	f.Links, f.Tools, f.Found = maps.Clone(f.Links), maps.Clone(f.Tools), maps.Clone(f.Found)
	for name, l := range f.Links {
		l.Addrs, l.Defaults, l.Connected = slices.Clone(l.Addrs), slices.Clone(l.Defaults), slices.Clone(l.Connected)
		f.Links[name] = l
	}
	if f.Found == nil {
		f.Found = map[uplinks.Tunable]uplinks.Found{}
	}
	f.Routed, f.Barred = slices.Clone(f.Routed), maps.Clone(f.Barred)
	return f
}

// Apply does one step of ours.
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
		k.remember(t)
	}
	return errors.Join(ctx.Err(), k.do(s))
}

// remember keeps the first value that a tunable had before us, until it is back.
func (k *Fake) remember(s uplinks.SetTunable) {
	found, known := k.facts.Found[s.Tunable]
	if !known {
		found = uplinks.Found{Index: k.facts.Links[s.Tunable.Link].Index, Was: s.Was}
	}
	found.Set = s.Value
	k.facts.Found[s.Tunable] = found
	if found.Was == s.Value {
		delete(k.facts.Found, s.Tunable)
	}
}

func (k *Fake) do(s uplinks.Step) error {
	switch s := s.(type) {
	case uplinks.AddRule:
		return k.addRule(s.Rule, uplinks.Protocol)
	case StrangerRule:
		return k.addRule(s.Rule, stranger)
	case OddRule:
		s.Rule.Other = s.Extra
		return k.addRule(s.Rule, uplinks.Protocol)
	case uplinks.DelRule:
		k.delRule(s.Rule)
	case uplinks.SetRoute:
		return k.setRoute(s.Key, s.Route)
	case PrependRoute:
		s.Key.Nth = 0
		k.routes[s.Key] = slices.Insert(k.routes[s.Key], 0, s.Route)
	case uplinks.DelRoute:
		s.Key.Nth = 0
		if at := slices.Index(k.routes[s.Key], s.Route); at >= 0 {
			k.routes[s.Key] = slices.Delete(k.routes[s.Key], at, at+1)
		}
	case uplinks.SetTunable:
		k.values[s.Tunable] = s.Value
	case uplinks.LoadChains:
		return k.load(s)
	default:
		return fmt.Errorf("no such step: %T", s)
	}
	return nil
}

func (k *Fake) addRule(r uplinks.Rule, protocol uint8) error {
	add := ownedRule{r, protocol}
	if slices.ContainsFunc(k.rules, func(have ownedRule) bool { return have.twin() == add.twin() }) {
		return fmt.Errorf("add %s: %w", r, ErrExists)
	}
	if r.Action == uplinks.Goto && r.Goto <= r.Priority {
		return fmt.Errorf("add %s: a goto leads forward only", r)
	}
	k.rules = append(k.rules, add)
	return nil
}

// twin leaves out what the kernel does not compare (net/core/fib_rules.c, rule_exists).
func (r ownedRule) twin() ownedRule {
	r.rule.Not, r.rule.Goto = false, 0
	return r
}

// delRule deletes the first rule that has what the given one says; what it does not say can be anything (rule_find).
func (k *Fake) delRule(r uplinks.Rule) {
	at := slices.IndexFunc(k.rules, func(have ownedRule) bool {
		if r.In == "" {
			have.rule.In = ""
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
		return have.twin() == ownedRule{r, uplinks.Protocol}.twin()
	})
	if at >= 0 {
		k.rules = slices.Delete(k.rules, at, at+1)
	}
}

// setRoute replaces the first route with the key, whosesoever it is.
func (k *Fake) setRoute(key uplinks.RouteKey, r uplinks.Route) error {
	if l, exists := k.facts.Links[r.Link]; r.Type == uplinks.Unicast && (!exists || !l.Up) {
		return fmt.Errorf("link %q is not there, or down", r.Link)
	}
	key.Nth = 0
	if len(k.routes[key]) == 0 {
		k.routes[key] = []uplinks.Route{r}
	}
	k.routes[key][0] = r
	return nil
}
