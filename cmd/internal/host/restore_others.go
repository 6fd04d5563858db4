package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
	"replypath/uplinks/snapshot"
)

// others returns the steps that put back what is missing of other programs: routes, those on a link first, rules, tunables, and
// chains. Nothing of theirs is deleted.
func (p *restorePlanner) others(d, now snapshot.Document) (steps []RestoreStep) {
	var missing, added snapshot.Document
	for _, c := range snapshot.Compare(d, now) {
		switch c.What {
		case snapshot.Removed:
			missing = append(missing, c.Line)
		case snapshot.Added:
			added = append(added, c.Line)
		}
	}
	steps = append(p.otherRoutes(missing, added), p.otherRules(missing)...)
	steps = append(steps, p.otherValues(missing, now)...)
	return append(steps, p.otherChains(d, now)...)
}

// otherRoutes returns the routes that are missing. A route replaces the one that has come in its place since.
func (p *restorePlanner) otherRoutes(missing, added snapshot.Document) (steps []RestoreStep) {
	replaces := map[uplinks.RouteKey]bool{}
	quiet := restorePlanner{routes: p.routes}
	quiet.eachFamily(added, snapshot.KindRoute, func(f uplinks.Family, text string) error {
		r, err := p.routes.Parse(text, f)
		replaces[r.Key] = err == nil && r.Route.Protocol != uplinks.Protocol
		return nil
	})
	var direct, others []RestoreStep
	p.eachFamily(missing, snapshot.KindRoute, func(f uplinks.Family, text string) error {
		if isOurRoute(text) {
			return nil
		}
		r, err := p.routes.Parse(text, f)
		if err != nil || r.Made() {
			return err
		}
		replace := replaces[r.Key]
		delete(replaces, r.Key)
		step := RestoreStep{uplinks.KindRoute, r.String(), func(context.Context) error {
			b := p.host.links.NewBatch()
			b.AddSavedRoute(r, replace)
			return b.Execute()[0]
		}}
		if !r.Route.Gateway.IsValid() && r.Route.Hops.IsEmpty() {
			direct = append(direct, step)
		} else {
			others = append(others, step)
		}
		return nil
	})
	return append(direct, others...)
}

// otherRules returns the rules that are missing, each once.
func (p *restorePlanner) otherRules(missing snapshot.Document) (steps []RestoreStep) {
	seen := map[string]bool{}
	p.eachFamily(missing, snapshot.KindRule, func(f uplinks.Family, text string) error {
		r, err := rtnl.ParseRuleLine(text, f)
		if err != nil || r.Protocol == uplinks.Protocol || seen[r.String()] {
			return err
		}
		seen[r.String()] = true
		steps = append(steps, RestoreStep{uplinks.KindRule, r.String(), func(context.Context) error {
			b := p.host.links.NewBatch()
			b.AddSavedRule(r)
			return b.Execute()[0]
		}})
		return nil
	})
	return steps
}

// otherValues returns the tunables that have another value, unless replypath had or has set it, or they are gone.
func (p *restorePlanner) otherValues(missing, now snapshot.Document) (steps []RestoreStep) {
	current := map[uplinks.Tunable]savedValue{}
	for _, v := range (&restorePlanner{}).values(now) {
		current[v.tunable] = v
	}
	for _, v := range p.values(missing) {
		is, exists := current[v.tunable]
		if v.ours || is.ours || !exists || is.value == v.value {
			continue
		}
		set := uplinks.SetTunable{Tunable: v.tunable, Old: is.value, Value: v.value}
		steps = append(steps, RestoreStep{set.Kind(), set.String(), func(context.Context) error { return p.setTunable(set) }})
	}
	return steps
}

func (p *restorePlanner) setTunable(s uplinks.SetTunable) error {
	if s.Kind() != uplinks.KindLink {
		return procfs.Write(s.Tunable, s.Value)
	}
	index, err := p.host.links.LinkIndex(s.Tunable.Link)
	if err != nil {
		return err
	}
	b := p.host.links.NewBatch()
	b.SetGroup(index, s.Value)
	return b.Execute()[0]
}

// otherChains returns one step for each mangle table with a chain that lacks rules of the snapshot, or has them in another order.
// Rules that are there beside them follow those of the snapshot.
func (p *restorePlanner) otherChains(d, now snapshot.Document) (steps []RestoreStep) {
	was, is, next := d.MangleChains(), now.MangleChains(), map[snapshot.MangleChain]snapshot.ChainLines{}
	for k := range was {
		if is[k].Lacks(was[k]) {
			next[k] = is[k].With(was[k])
		}
	}
	return p.chainSteps(is, next)
}

// chainSteps returns one step for each mangle table with a chain that is to change.
func (p *restorePlanner) chainSteps(is, next map[snapshot.MangleChain]snapshot.ChainLines) (steps []RestoreStep) {
	names := snapshot.ChainNames(next)
	_ = p.host.eachMangle(func(f uplinks.Family, t mangleSource) error {
		var chains []snapshot.MangleChain
		for _, k := range names {
			if k.Family == strings.ToLower(f.String()) && k.Backend == string(t.Backend()) {
				chains = append(chains, k)
			}
		}
		if len(chains) > 0 {
			load := mangleLoad{t, chains, is, next}
			steps = append(steps, RestoreStep{uplinks.KindChains, load.String(), load.do})
		}
		return nil
	})
	return steps
}

// mangleLoad gives chains of a mangle table their rules, or deletes them.
type mangleLoad struct {
	table    mangleSource
	chains   []snapshot.MangleChain
	is, next map[snapshot.MangleChain]snapshot.ChainLines
}

// String returns the commands of iptables.
func (m mangleLoad) String() string {
	var heads, rules, ends []string
	for _, k := range m.chains {
		next := m.next[k]
		switch {
		case next.New && !m.is[k].New:
			heads = append(heads, "-N "+k.Name)
		default:
			heads = append(heads, "-F "+k.Name)
		}
		if policy := m.is[k].Policy; !next.New && next.Policy != policy {
			heads = append(heads, "-P "+k.Name+" "+next.PolicyOrAccept())
		}
		if rules = append(rules, next.Rules...); next.Gone {
			ends = append(ends, "-X "+k.Name)
		}
	}
	commands := slices.Concat(heads, rules, ends)
	for i, c := range commands {
		commands[i] = fmt.Sprintf("%s -w -t %s %s", m.table.Command(), marks.MangleTable, c)
	}
	return strings.Join(commands, "\n")
}

// do loads the chains in one transaction. The hooks of replypath in them stay where they are, at the beginning.
func (m mangleLoad) do(ctx context.Context) error {
	_, saved, err := m.table.Save(ctx)
	if err != nil {
		return err
	}
	ours := map[string][]string{}
	for _, l := range snapshot.TableLines(saved, marks.MangleTable) {
		if parts := strings.Fields(l); parts[0] == "-A" && foreign.RuleIsOurs(parts) {
			ours[parts[1]] = append(ours[parts[1]], l)
		}
	}
	var heads, rules, ends strings.Builder
	for _, k := range m.chains {
		head, rest := m.next[k].Restore(k.Name, ours[k.Name])
		heads.WriteString(head)
		rules.WriteString(rest)
		if m.next[k].Gone {
			ends.WriteString("-X " + k.Name + "\n")
		}
	}
	return m.table.Load(ctx, "*"+marks.MangleTable+"\n"+heads.String()+rules.String()+ends.String()+"COMMIT\n")
}
