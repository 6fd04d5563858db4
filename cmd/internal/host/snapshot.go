package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/snapshot"
)

// unreadableChain stands for the rules of a chain that its backend cannot list.
const unreadableChain = "unreadable"

// Snapshot reads rules, routes, link groups, sysctls and mangle chains of all programs.
func (h *Host) Snapshot(ctx context.Context) (snapshot.Document, error) {
	facts, state, err := h.Observe(ctx)
	if err != nil {
		return nil, err
	}
	d := tunableLines(facts, state)
	var routes snapshot.Document
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !facts.IPv6 {
			continue
		}
		ofRules, ofRoutes, err := h.links.SnapshotLines(ctx, f)
		if err != nil {
			return nil, err
		}
		d, routes = append(d, ofRules...), append(routes, ofRoutes...)
	}
	d = append(append(d, routes...), chainLines(state)...)
	mangle, err := h.mangleLines(ctx)
	return append(d, mangle...), err
}

// tunableLines returns the groups of all links, and the sysctls. Those that replypath has set have the value that they had before.
func tunableLines(facts uplinks.Facts, state uplinks.State) (d snapshot.Document) {
	links := slices.Sorted(maps.Keys(facts.Links))
	was := func(t uplinks.Tunable) string {
		if original, ours := facts.Originals[t]; ours {
			return "was " + original.Value
		}
		return ""
	}
	for _, link := range links {
		t := uplinks.Tunable{Link: link, Name: uplinks.LinkGroup}
		if group, known := state.Tunables[t]; known {
			d = append(d, snapshot.Line(snapshot.KindGroup, snapshot.Quote(link), group, was(t)))
		}
	}
	all := procfs.SnapshotSysctls(links)
	values := procfs.Values(all)
	for _, t := range all {
		if value, exists := values[t]; exists {
			d = append(d, snapshot.Line(snapshot.KindSysctl, snapshot.Quote(t.String()), snapshot.Quote(value), was(t)))
		}
	}
	return d
}

// chainLines returns the chains and hooks of replypath, in every backend.
func chainLines(state uplinks.State) snapshot.Document {
	var chains, rules, hooks snapshot.Document
	of := func(kind string, k uplinks.FirewallKey, name, rule string) string {
		return snapshot.Line(kind, strings.ToLower(k.Family.String()), string(k.Backend), name, rule)
	}
	for _, k := range state.SortedChains() {
		chains = append(chains, of(snapshot.KindChain, k.Firewall, k.Name, ""))
		if state.Chains[k].Unreadable {
			rules = append(rules, of(snapshot.KindAppend, k.Firewall, k.Name, unreadableChain))
		}
		for _, r := range state.Chains[k].Rules {
			rules = append(rules, of(snapshot.KindAppend, k.Firewall, k.Name, ruleWords(r)))
		}
	}
	for k, s := range state.Hooks {
		for range s.Count {
			hooks = append(hooks, of(snapshot.KindHook, k.Firewall, k.Hook.Builtin, ruleWords(k.Hook.Rule)))
		}
	}
	slices.Sort(hooks)
	return slices.Concat(chains, rules, hooks)
}

// mangleSource is a table of iptables whose rules a command prints and loads.
type mangleSource interface {
	marks.Firewall
	foreign.Source
	// Load loads lines of iptables-restore(8) in one transaction, and leaves the rest of the tables as it is.
	Load(ctx context.Context, lines string) error
}

// eachMangle calls do with each mangle table of iptables that may have rules.
func (h *Host) eachMangle(do func(uplinks.Family, mangleSource) error) error {
	for _, f := range uplinks.Families {
		for _, b := range backends {
			t, is := h.firewall.table(f, b).(mangleSource)
			if !is || h.firewall.unusable[b] != nil {
				continue
			}
			if err := do(f, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// mangleLines returns the rules and chains of other programs in the mangle tables.
func (h *Host) mangleLines(ctx context.Context) (d snapshot.Document, err error) {
	err = h.eachMangle(func(f uplinks.Family, t mangleSource) error {
		if t.Absent() {
			return nil
		}
		_, saved, err := t.Save(ctx)
		if err != nil {
			return fmt.Errorf("read the mangle table: %w", err)
		}
		for _, l := range snapshot.TableLines(saved, marks.MangleTable) {
			if !foreign.RuleIsOurs(strings.Fields(l)) {
				d = append(d, snapshot.Line(snapshot.KindMangle, strings.ToLower(f.String()), string(t.Backend()), l))
			}
		}
		return nil
	})
	return d, err
}
