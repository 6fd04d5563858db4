// Package host is the machine that the program runs on: the adapters for links, sysctls and firewall joined to one
// uplinks.Kernel.
package host

import (
	"context"

	"replypath/cmd/internal/namespace"
	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/networkd"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Host reads and writes the kernel of its network namespace. It is an uplinks.Kernel.
type Host struct {
	links          *rtnl.Handle
	firewall       Firewall
	state          statedir.Dir
	lock           *statedir.Lock // nil: read only
	originals      *statedir.Originals
	counters       replyCounters
	ownGenerations generations         // what of nftables' changes is ours
	sysctls        procfs.SysctlReader // at those that we may set, as there were at the last Observe
}

// Options say which host, and what of it to look at.
type Options struct {
	StateDir  string
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
	if err := h.open(ctx, o); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) open(ctx context.Context, o Options) (err error) {
	if h.state, err = statedir.Open(o.StateDir); err != nil {
		return err
	}
	if h.originals, err = h.state.Originals(); err != nil {
		return err
	}
	h.firewall, err = OpenFirewall(ctx, o.Backend)
	return err
}

// Lock makes this the only replypath that writes, until Close. It waits up to 30 s for another one to finish, but not for
// a service: the error is then statedir.ErrServiceRuns.
func (h *Host) Lock(ctx context.Context) error {
	return h.lockWith(ctx, h.state.Lock)
}

// LockAsService is the Lock of the service. It fails at once when another service has this network namespace.
func (h *Host) LockAsService(ctx context.Context) error {
	return h.lockWith(ctx, h.state.LockAsService)
}

func (h *Host) lockWith(ctx context.Context, lock func(context.Context) (*statedir.Lock, error)) (err error) {
	if h.lock, err = lock(ctx); err != nil {
		return err
	}
	return h.originals.Reload()
}

// Close lets go of the lock and the sockets.
func (h *Host) Close() {
	h.lock.Release()
	h.sysctls.Close()
	h.links.Close()
}

// Observe reads what the host is like and what of ours is there, or that of some shares alone, which asks nothing of the
// firewall.
func (h *Host) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	facts, have, err := ReadKernel(ctx, h.links, only...)
	if err != nil || only != nil {
		return facts, have, err
	}
	facts.Originals = h.originals.Present(facts)
	var paths []string
	for _, t := range uplinks.Sysctls(facts) {
		paths = append(paths, t.Path())
	}
	h.sysctls.SetPaths(paths)
	if err := h.firewall.Read(ctx, &facts, &have); err != nil {
		return facts, have, err
	}
	return facts, have, nil
}

// ReadKernel reads links, routes, rules and sysctls, or those of some shares alone. It needs no privilege.
func ReadKernel(ctx context.Context, links *rtnl.Handle, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	facts := uplinks.Facts{Links: map[string]uplinks.Link{}, Firewalls: map[uplinks.Family]uplinks.FirewallKey{}, UnreachableDefault: map[uplinks.Family]bool{}, OmittedRoutes: map[string]int{}, Scopes: only}
	have := uplinks.NewState()
	facts.IPv6 = procfs.IPv6()
	read := links.Read
	if only != nil {
		read = func(ctx context.Context, f *uplinks.Facts, s *uplinks.State) error {
			return links.ReadScopes(ctx, only, f, s)
		}
	}
	if err := read(ctx, &facts, &have); err != nil {
		return facts, have, err
	}
	if own, err := namespace.IsInitial(); err == nil && own {
		networkd.Read(networkd.LeasesDir, &facts)
	}
	if facts.IPv6 {
		procfs.ReadIPv6(&facts)
	}
	return facts, have, procfs.Read(facts, &have)
}

// ReadFacts is what anybody may know of the host: all but the firewall and what was found before us.
func ReadFacts(ctx context.Context) (uplinks.Facts, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return uplinks.Facts{}, err
	}
	defer links.Close()
	facts, _, err := ReadKernel(ctx, links)
	return facts, err
}
