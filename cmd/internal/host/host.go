// Package host is the machine that the program runs on: the adapters for links, sysctls and firewall joined to one
// uplinks.Kernel.
package host

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/networkd"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Host reads and writes the kernel of its network namespace. It is an uplinks.Kernel.
type Host struct {
	links    *rtnl.Handle
	firewall firewall
	found    record
	tallies  tallies
	lock     lock
	indexes  map[string]int           // of the links, by name, at the last Observe
	wrote    generations              // what of nftables' changes is ours
	sysctls  atomic.Pointer[[]string] // the files of those that we may set, at the last Observe
}

// Options say which host, and what of it to look at.
type Options struct {
	State     string // the folder in which values found are remembered
	Backend   marks.Backend
	TableBase uplinks.Table // 0: only what carries our protocol
}

// Open opens the host for reading. Two programs may read at once; Lock keeps the second from writing.
func Open(ctx context.Context, o Options) (*Host, error) {
	links, err := rtnl.Open(o.TableBase)
	if err != nil {
		return nil, err
	}
	h := &Host{links: links}
	if h.found, err = openRecord(o.State); err != nil {
		h.Close()
		return nil, err
	}
	if h.firewall, err = openFirewall(ctx, o.Backend); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close lets go of the lock and the sockets.
func (h *Host) Close() {
	h.lock.release()
	h.links.Close()
}

// Observe reads what the host is like and what of ours is there.
func (h *Host) Observe(ctx context.Context) (uplinks.Facts, uplinks.State, error) {
	facts, have, err := look(ctx, h.links)
	if err != nil {
		return facts, have, err
	}
	h.indexes = map[string]int{"": 0}
	for name, l := range facts.Links {
		h.indexes[name] = l.Index
	}
	facts.Found = h.found.of(facts)
	var paths []string
	for _, t := range uplinks.Sysctls(facts) {
		paths = append(paths, t.Path())
	}
	h.sysctls.Store(&paths)
	if err := h.firewall.read(ctx, &facts, &have); err != nil {
		return facts, have, err
	}
	return facts, have, nil
}

// look reads links, routes, rules and sysctls. It needs no privilege.
func look(ctx context.Context, links *rtnl.Handle) (uplinks.Facts, uplinks.State, error) {
	facts := uplinks.Facts{Links: map[string]uplinks.Link{}, Tools: map[uplinks.Family]uplinks.Tool{}, Barred: map[uplinks.Family]bool{}}
	have := uplinks.NewState()
	facts.IPv6 = procfs.IPv6()
	if err := links.Read(ctx, &facts, &have); err != nil {
		return facts, have, err
	}
	if own, err := firstNamespace(); err == nil && own {
		networkd.Read(networkd.Leases, &facts)
	}
	if facts.IPv6 {
		procfs.ReadIPv6(&facts)
	}
	return facts, have, procfs.Read(facts, &have)
}

// Apply does one step.
func (h *Host) Apply(ctx context.Context, s uplinks.Step) error {
	if err := h.apply(ctx, s); err != nil {
		return fmt.Errorf("%s: %w", firstLine(s.String()), err)
	}
	return nil
}

func (h *Host) apply(ctx context.Context, s uplinks.Step) error {
	switch s := s.(type) {
	case uplinks.AddRule:
		return h.links.AddRule(s.Rule)
	case uplinks.DelRule:
		return h.links.DelRule(s.Rule)
	case uplinks.SetRoute:
		return h.links.SetRoute(s.Key, s.Route)
	case uplinks.DelRoute:
		return h.links.DelRoute(s.Key, s.Route)
	case uplinks.SetTunable:
		return h.set(s)
	case uplinks.LoadChains:
		return h.load(ctx, s)
	}
	return fmt.Errorf("no such step: %T", s)
}

// Expect notes all values that are about to go at once. What cannot be noted is refused with its own step.
func (h *Host) Expect(p uplinks.Plan) {
	var sets []uplinks.SetTunable
	for _, s := range p {
		if set, is := s.(uplinks.SetTunable); is {
			sets = append(sets, set)
		}
	}
	if len(sets) > 1 {
		h.found.rememberAll(sets, h.indexes)
	}
}

// set remembers a value before it goes, and forgets it when it is back.
func (h *Host) set(s uplinks.SetTunable) error {
	index, err := h.links.Index(s.Tunable.Link)
	if err != nil {
		return err
	}
	if err := h.found.remember(s, index); err != nil {
		return err
	}
	if s.Tunable.Name == uplinks.LinkGroup {
		err = h.links.SetGroup(index, s.Value)
	} else {
		err = procfs.Write(s.Tunable, s.Value)
	}
	if err != nil {
		return err
	}
	return h.found.forget(s, index)
}

// firstLine names a step of many lines.
func firstLine(s string) string {
	first, _, more := strings.Cut(s, "\n")
	if more {
		first += " ..."
	}
	return first
}

// Facts is what anybody may know of the host: all but the firewall and what was found before us.
func Facts(ctx context.Context) (uplinks.Facts, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return uplinks.Facts{}, err
	}
	defer links.Close()
	facts, _, err := look(ctx, links)
	return facts, err
}
