// Package survey collects the snapshot of the host that package doctor diagnoses, and applies the fixes of its findings.
package survey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/namespace"
	"replypath/cmd/internal/statedir"
	"replypath/cmd/internal/systemd"
	"replypath/health"
	"replypath/health/proof/inject"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// Options say what to collect.
type Options struct {
	Root       string // of the host's files
	StateDir   string
	Settings   uplinks.Settings
	Health     health.Settings
	Privileged bool // the process has the privileges for the firewall and for connections
}

// Collect reads the host and lists what could not be read. It changes nothing.
func Collect(ctx context.Context, o Options) (doctor.Snapshot, []doctor.Skipped, error) {
	c := &collector{Options: o, result: doctor.Snapshot{Settings: o.Settings}}
	links, err := rtnl.Open(o.Settings.TableBase)
	if err != nil {
		return c.result, nil, err
	}
	defer links.Close()
	if c.result.Facts, c.result.State, err = host.ReadKernel(ctx, links); err != nil {
		return c.result, nil, err
	}
	c.Settings = c.Settings.ResolveLinks(c.result.Facts)
	c.result.Settings = c.Settings
	c.attempt("the saved original values", c.readOriginals)
	c.attempt("the routers that were found", c.readFoundRouters)
	for _, f := range uplinks.Families {
		if f == uplinks.IPv4 || c.result.Facts.IPv6 {
			d, err := links.PolicyDatabase(ctx, f, documentationClient(c.result.Facts, f))
			if err != nil {
				return c.result, nil, err
			}
			c.result.Rules = append(c.result.Rules, d)
		}
	}
	c.result.Names, c.result.GroupNumbers = iproute.Names(), iproute.LinkGroups()
	c.result.ProbeFindings = health.Findings(o.Health, o.Settings, c.result.Facts)
	c.readSysctls()
	c.attempt("MTUs", func() (err error) { c.result.LinkAttrs, err = links.LinkAttributes(ctx); return err })
	if help := host.ReadUDPHelp(o.Settings); help.Active() {
		c.result.UDPHelp = help
	}
	c.attempt("UDP servers", func() error { return errors.Join(c.readSockets(ctx), c.readConnected(ctx)) })
	c.attempt("the replies of uplinks that are not configured", func() error { return c.readUnconfigured(links) })
	c.result.SavedRulesets = c.readSavedRules()
	c.result.MissingOptions = missingKernelOptions(c.Root)
	if initial, err := namespace.IsInitial(); c.Root != "/" || err == nil && initial {
		c.result.Networkd = readNetworkd(c.Root)
	}
	c.attempt("what is behind the routes: neighbours, IPsec policies, traffic control", func() error { return c.readEgress(ctx, links) })
	c.readPrivileged(ctx)
	for _, wait := range c.atEnd {
		wait()
	}
	return c.result, c.skipped, nil
}

type collector struct {
	Options
	result  doctor.Snapshot
	skipped []doctor.Skipped
	atEnd   []func() // wait for what was asked meanwhile
}

// attempt records an error of read as a skipped subject.
func (c *collector) attempt(subject string, read func() error) {
	if err := read(); err != nil {
		c.skipped = append(c.skipped, doctor.Skipped{Subject: subject, Reason: err.Error()})
	}
}

var errNeedsRoot = errors.New("it needs root: run it with sudo")

// readPrivileged reads what the kernel shows to root only.
func (c *collector) readPrivileged(ctx context.Context) {
	if !c.Privileged {
		for _, subject := range []string{"the rules of the firewall", "connections", "whether reply paths can be traced"} {
			c.attempt(subject, func() error { return errNeedsRoot })
		}
		return
	}
	c.attempt("the rules of the firewall", func() error { return c.readFirewall(ctx) })
	c.attempt("the flow table", func() error { return host.ReadFlows(c.Settings, &c.result.Facts, &c.result.State) })
	c.attempt("the filters at egress", func() error { return host.ReadEgressFilters(c.Settings, &c.result.Facts, &c.result.State) })
	c.attempt("the classifiers at ingress", func() error { return host.ReadRouterClassifiers(c.Settings, &c.result.Facts, &c.result.State) })
	c.attempt("the BPF programs of others beside those", c.readEarlierPrograms)
	c.attempt("connections", func() error {
		found, err := rtnl.SurveyConnections(ctx, c.Settings, c.result.Facts)
		c.result.Flows, c.result.Mismarked, c.result.ForeignSources = found.Marked, found.Mismarked, found.ForeignSources
		return err
	})
	c.attempt("routers that no uplink has", c.readUnknownRouters)
	c.attempt("routers that do not answer", c.readUnresolvedRouters)
	if injector, err := inject.Open(0); err != nil {
		c.result.ProofError = err.Error()
	} else {
		injector.Close()
	}
}

func (c *collector) readOriginals() error {
	saved, err := readSavedOriginals(c.StateDir)
	if err != nil {
		// An empty original for each link prevents findings about missing originals.
		c.result.Facts.Originals = map[uplinks.Tunable]uplinks.Original{}
		for name := range c.result.Facts.Links {
			c.result.Facts.Originals[uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}] = uplinks.Original{}
		}
		return err
	}
	c.result.Facts.Originals = saved.Present(c.result.Facts)
	return nil
}

// readFoundRouters reads the routers that the service has found and saved.
func (c *collector) readFoundRouters() error {
	if !c.Settings.FindsRouters() {
		return nil
	}
	d, err := statedir.Open(c.StateDir)
	if err == nil {
		c.result.Facts.FoundRouters = host.SavedFoundRouters(d)
	}
	return err
}

func (c *collector) readSysctls() {
	sysctls := doctor.Sysctls(c.result.Facts)
	c.result.Sysctls = procfs.Values(sysctls)
	c.result.SysctlFiles = systemd.SysctlSources(c.Root, sysctls)
	c.result.RPFilterDrops, _ = procfs.Counter("TcpExt", "IPReversePathFilter")
	c.result.ConntrackCount, _ = procfs.Sysctl("net/netfilter/nf_conntrack_count")
	c.result.ConntrackMax, _ = procfs.Sysctl("net/netfilter/nf_conntrack_max")
	c.result.Queues, c.result.QueuesKnown = procfs.Queues()
	c.result.NeighbourLimits = map[uplinks.Family]int{}
	for _, f := range uplinks.Families {
		limit, _ := procfs.Sysctl(uplinks.NeighbourLimit(f).Path())
		c.result.NeighbourLimits[f] = int(limit)
	}
}

// readFirewall reads the rules of all programs. Missing iptables commands or extensions are findings, not errors: nothing can
// be applied without them.
func (c *collector) readFirewall(ctx context.Context) error {
	fw, err := host.OpenFirewall(ctx, c.Settings.Backend)
	if err != nil {
		subject := "the iptables commands cannot be used"
		if c.Settings.Backend == marks.Nftables {
			subject = "nftables cannot be used"
		}
		c.result.MissingTools = append(c.result.MissingTools, doctor.Skipped{Subject: subject, Reason: err.Error()})
	} else {
		if err := fw.Read(ctx, &c.result.Facts, &c.result.State); err != nil {
			return err
		}
		missing := fw.CheckExtensions(ctx)
		for _, f := range slices.Sorted(maps.Keys(missing)) {
			c.result.MissingTools = append(c.result.MissingTools, doctor.Skipped{Subject: fmt.Sprintf("a match or target for %s is missing", f), Reason: missing[f].Error()})
		}
	}
	if c.result.Firewall, err = fw.ForeignRules(ctx); err != nil {
		return err
	}
	c.result.DNAT, err = fw.DestinationNAT(ctx)
	return err
}

func readSavedOriginals(path string) (*statedir.Originals, error) {
	d, err := statedir.Open(path)
	if err != nil {
		return nil, err
	}
	return d.Originals()
}

// readSockets reads the UDP servers with their processes, and whether these learn the destination address of requests.
func (c *collector) readSockets(ctx context.Context) error {
	all, err := rtnl.ServerSockets(ctx, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	var first, last uint16
	if span, known := procfs.SysctlPortRange("net/ipv4/ip_local_port_range"); known {
		first, last = span[0], span[1]
	}
	owners, complete := procfs.SocketOwners()
	for _, s := range all {
		owner, owned := owners[s.Inode]
		if owned && s.Port >= first && s.Port <= last {
			continue // an ephemeral port: the socket of a client
		}
		server := doctor.UDPServer{Listener: s.Listener, Process: owner.Name, PID: owner.PID, KernelOwned: !owned && complete}
		if owned && s.Addr.IsUnspecified() {
			receives, err := owner.ReceivesLocalAddress()
			server.PktInfoKnown, server.PktInfo = err == nil, receives
		}
		c.result.Sockets = append(c.result.Sockets, server)
	}
	return nil
}
