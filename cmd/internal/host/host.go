// Package host joins the adapters of the kernel (rtnetlink, procfs, the firewall, networkd) to one uplinks.Kernel.
package host

import (
	"context"
	"errors"
	"slices"
	"sync"

	"replypath/cmd/internal/namespace"
	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/networkd"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Host reads and writes the kernel of its network namespace. It implements uplinks.Kernel. Fingerprint, ReplyCounts and the
// event sources are safe for use beside the other methods, of which only one may run at a time, but for WhileLoading.
type Host struct {
	links     *rtnl.Handle
	state     statedir.Dir
	lock      *statedir.Lock // nil: for reading only
	isService bool
	// wantsProtection says that the service owns its table of nftables.
	wantsProtection   bool
	originals         *statedir.Originals
	ownGenerations    generations
	sysctls           procfs.SysctlReader // of WatchTunables
	legacy            procfs.LegacyTables
	proxies           proxyWatch // of transparent proxies
	routers           routerMACs
	found             foundRouters
	udp               udpAnswers
	flows             flows
	routerCounters    routerCounters
	backup            backup
	confinesSources   bool // the settings may need uplinks.SourceSysctls
	egressFilters     egressFilters
	routerClassifiers routerClassifiers
	whileLoading      func(done <-chan struct{}) // nil: nothing runs beside a change of chains
	lost              lostTable

	// chains is held while chains are read or changed, while the backend is chosen, and while reply counters are read, so
	// that each reading is of one backend, and before or after a change.
	chains   sync.Mutex
	firewall Firewall               // its choice of a backend is guarded by chains
	counters replyCounters          // guarded by chains
	strays   map[string]strayRecord // guarded by chains; nil: not read yet
}

// Options say what a Host reads and writes.
type Options struct {
	StateDir  string
	Backend   marks.Backend
	Protect   bool          // the service owns its table of nftables
	TableBase uplinks.Table // 0: only objects with the protocol number of replypath
	Proxies   []uplinks.Proxy
	Settings  uplinks.Settings // whose routers are distinguished, and whose UDP servers are helped
}

// setSettings gives the settings to all that reads or writes what they want.
func (h *Host) setSettings(s uplinks.Settings) {
	h.routers.set(s)
	h.found.set(s)
	h.udp.set(s.WantedUDPPrograms())
	h.flows.set(s)
	h.routerCounters.set(s)
	h.backup.set(s)
	h.confinesSources = s.MayConfineSources()
	h.egressFilters.set(s)
	h.routerClassifiers.set(s)
}

// Open opens the host for reading. A caller that writes must hold Lock or LockAsService: Apply does not check it.
func Open(ctx context.Context, o Options) (*Host, error) {
	links, err := rtnl.Open(o.TableBase)
	if err != nil {
		return nil, err
	}
	h := &Host{links: links, wantsProtection: o.Protect}
	h.proxies.set(o.Proxies)
	h.setSettings(o.Settings)
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
	h.routers.state, h.found.state = h.state, h.state
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

// LockAsService locks the host for the service. It fails at once if another service has this network namespace. From then
// on the host is changed also while originals cannot be saved.
func (h *Host) LockAsService(ctx context.Context) error {
	h.originals.MayStayUnsaved = true
	if err := h.lockWith(ctx, h.state.LockAsService); err != nil {
		return err
	}
	h.isService = true
	h.chains.Lock()
	defer h.chains.Unlock()
	return h.protect(h.wantsProtection)
}

// UnsavedOriginals returns why the originals of changed values are not on disk, nil when they are.
func (h *Host) UnsavedOriginals() error { return h.originals.Unsaved() }

func (h *Host) lockWith(ctx context.Context, lock func(context.Context) (*statedir.Lock, error)) (err error) {
	if h.lock, err = lock(ctx); err != nil {
		return err
	}
	return h.originals.Reload()
}

// Close releases the lock and closes the sockets.
func (h *Host) Close() {
	_ = h.firewall.release()
	_ = h.backup.table.Protect(false)
	h.lock.Release()
	h.sysctls.Close()
	h.udp.close()
	h.legacy.Close()
	h.links.Close()
}

// Observe implements uplinks.Kernel. With scopes it does not read the firewall, but for the flow table if one is configured.
func (h *Host) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	facts, state, err := ReadKernel(ctx, h.links, only...)
	if err == nil {
		err = errors.Join(h.flows.read(&facts, &state), h.readSourceSysctls(facts, &state))
	}
	facts.FoundRouters = h.found.list()
	if err != nil || only != nil {
		return facts, state, err
	}
	facts.Proxies = h.proxies.read(ctx)
	facts.ProxyErrors = h.proxies.errors()
	if err := h.readRouters(ctx, &facts, &state); err != nil {
		return facts, state, err
	}
	h.originals.SaveAgain()
	facts.Originals = h.originals.Present(facts)
	if err := errors.Join(h.udp.read(&facts, &state, h.isService), h.routerCounters.read(&facts, &state)); err != nil {
		return facts, state, err
	}
	drained, err := h.Drained()
	if err != nil {
		return facts, state, err
	}
	for _, name := range drained {
		if facts.Drained == nil {
			facts.Drained = map[string]bool{}
		}
		facts.Drained[name] = true
	}
	h.chains.Lock()
	defer h.chains.Unlock()
	if err := h.firewall.Read(ctx, &facts, &state); err != nil {
		return facts, state, err
	}
	if err := h.firewall.readIPsec(ctx, h.backup.settings.Outbound.Masquerade, &facts); err != nil {
		return facts, state, err
	}
	return facts, state, errors.Join(h.backup.read(&facts, &state), h.egressFilters.read(&facts, &state), h.routerClassifiers.read(&facts, &state))
}

// WatchTunables sets the tunables whose sysctls Fingerprint covers: those that replypath wants, the TTL of all replies, and for classifiers
// whether bridges meet the firewall. A host may have thousands of other links.
func (h *Host) WatchTunables(wanted map[uplinks.Tunable]string) {
	paths := []string{uplinks.Tunable{Name: "net.ipv4.ip_default_ttl"}.Path()}
	for t := range wanted {
		if t.Name != uplinks.LinkGroup {
			paths = append(paths, t.Path())
		}
	}
	if h.routerClassifiers.settings.HasSharedLinks() {
		paths = append(paths, bridgeFirewallPaths...)
	}
	slices.Sort(paths)
	h.sysctls.SetPaths(paths)
}

// ReadKernel reads links, routes, rules and sysctls, of the whole host or of some scopes. It needs no privilege.
func ReadKernel(ctx context.Context, links *rtnl.Handle, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	facts := uplinks.Facts{Links: map[string]uplinks.Link{}, Firewalls: map[uplinks.Family]uplinks.FirewallKey{}, UnreachableDefault: map[uplinks.Family]bool{}, OmittedRoutes: map[string]int{}, Scopes: only}
	state := uplinks.NewState()
	facts.IPv6 = procfs.IPv6()
	read := links.Read
	if only != nil {
		read = func(ctx context.Context, f *uplinks.Facts, s *uplinks.State) error {
			return links.ReadScopes(ctx, only, f, s)
		}
	}
	if err := read(ctx, &facts, &state); err != nil {
		return facts, state, err
	}
	if initial, err := namespace.IsInitial(); err == nil && initial {
		networkd.Read(networkd.LeasesDir, &facts)
	}
	if facts.IPv6 {
		procfs.ReadIPv6(&facts)
	}
	return facts, state, procfs.Read(facts, &state)
}

// ReadLinkAttributes returns the attributes of all links by name. It needs no privilege.
func ReadLinkAttributes(ctx context.Context) (map[string]uplinks.LinkAttributes, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	return links.LinkAttributes(ctx)
}

// ReadFacts returns the facts that need no privilege: all but the firewall and the saved originals.
func ReadFacts(ctx context.Context) (uplinks.Facts, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return uplinks.Facts{}, err
	}
	defer links.Close()
	facts, _, err := ReadKernel(ctx, links)
	return facts, err
}

// readSourceSysctls reads the sysctls that confine source addresses, where the settings may need them or they were set before.
func (h *Host) readSourceSysctls(facts uplinks.Facts, state *uplinks.State) error {
	if !facts.IPv6 || !h.confinesSources && !h.originals.Has(uplinks.UseOIFAddrsOnly) {
		return nil
	}
	return procfs.ReadSysctls(uplinks.SourceSysctls(facts), state)
}
