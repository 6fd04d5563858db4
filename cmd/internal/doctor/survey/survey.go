// Package survey collects what the doctor diagnoses, and applies its fixes.
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
	"replypath/cmd/internal/statedir"
	"replypath/cmd/internal/systemd"
	"replypath/health"
	"replypath/health/proof/inject"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// Options say what to look at.
type Options struct {
	Root       string // below which the host's files are
	StateDir   string // the folder in which values found are remembered
	Settings   uplinks.Settings
	Health     health.Settings
	Privileged bool // what needs root can be looked at
}

// Collect sees all that a doctor goes by, and names what could not be seen. It changes nothing.
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
	c.attempt("what was found before us", c.readOriginals)
	for _, f := range uplinks.Families {
		if f == uplinks.IPv4 || c.result.Facts.IPv6 {
			d, err := links.PolicyDatabase(ctx, f)
			if err != nil {
				return c.result, nil, err
			}
			c.result.Rules = append(c.result.Rules, d)
		}
	}
	c.result.Names = iproute.Names()
	c.result.ProbeFindings = health.Findings(o.Health, o.Settings, c.result.Facts)
	c.readSysctls()
	c.attempt("MTUs", func() (err error) { c.result.LinkAttrs, err = links.LinkAttributes(ctx); return err })
	c.attempt("UDP servers", func() error { return c.readSockets(ctx) })
	c.readFiles()
	c.readPrivileged(ctx)
	return c.result, c.unreadable, nil
}

type collector struct {
	Options
	result     doctor.Snapshot
	unreadable []doctor.Skipped
}

// attempt goes on without what cannot be looked at.
func (c *collector) attempt(what string, read func() error) {
	if err := read(); err != nil {
		c.unreadable = append(c.unreadable, doctor.Skipped{Subject: what, Reason: err.Error()})
	}
}

var errNeedsRoot = errors.New("it needs root: run it with sudo")

// readPrivileged looks at what the kernel shows to root only.
func (c *collector) readPrivileged(ctx context.Context) {
	if !c.Privileged {
		for _, what := range []string{"the rules of the firewall", "connections", "whether the reply path can be shown"} {
			c.attempt(what, func() error { return errNeedsRoot })
		}
		return
	}
	c.attempt("the rules of the firewall", func() error { return c.readFirewall(ctx) })
	c.attempt("connections", func() (err error) {
		c.result.Flows, err = rtnl.MarkedFlows(ctx, c.Settings.Mask)
		return err
	})
	if gate, err := inject.Open(); err != nil {
		c.result.ProofError = err.Error()
	} else {
		gate.Close()
	}
}

func (c *collector) readOriginals() error {
	found, err := readSavedOriginals(c.StateDir)
	if err != nil {
		// Nothing is said of what is not known.
		c.result.Facts.Originals = map[uplinks.Tunable]uplinks.Original{}
		for name := range c.result.Facts.Links {
			c.result.Facts.Originals[uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}] = uplinks.Original{}
		}
		return err
	}
	c.result.Facts.Originals = found.Present(c.result.Facts)
	return nil
}

func (c *collector) readSysctls() {
	sysctls := doctor.Sysctls(c.result.Facts)
	c.result.Sysctls = procfs.Values(sysctls)
	c.result.SysctlFiles = systemd.SysctlSources(c.Root, sysctls)
	c.result.RPFilterDrops, _ = procfs.Counter("TcpExt", "IPReversePathFilter")
	c.result.ConntrackCount, _ = procfs.Sysctl("net/netfilter/nf_conntrack_count")
	c.result.ConntrackMax, _ = procfs.Sysctl("net/netfilter/nf_conntrack_max")
}

// readFirewall reads the rules of others. What of iptables is missing is a finding, as nothing can be applied without it.
func (c *collector) readFirewall(ctx context.Context) error {
	fw, err := host.OpenFirewall(ctx, c.Settings.Backend)
	if err != nil {
		c.result.MissingTools = append(c.result.MissingTools, doctor.Skipped{Subject: "the iptables commands cannot be used", Reason: err.Error()})
	} else {
		err = fw.Read(ctx, &c.result.Facts, &c.result.State)
		if err != nil {
			return err
		}
		missing := fw.CheckExtensions(ctx)
		for _, f := range slices.Sorted(maps.Keys(missing)) {
			c.result.MissingTools = append(c.result.MissingTools, doctor.Skipped{Subject: fmt.Sprintf("a match or target for %s is missing", f), Reason: missing[f].Error()})
		}
	}
	c.result.Firewall, err = fw.ForeignRules(ctx)
	return err
}

func readSavedOriginals(path string) (*statedir.Originals, error) {
	d, err := statedir.Open(path)
	if err != nil {
		return nil, err
	}
	return d.Originals()
}

// readSockets finds out who has which UDP socket, and whether it asks at which address it is asked.
func (c *collector) readSockets(ctx context.Context) error {
	all, err := rtnl.ServerSockets(ctx, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	var first, last uint16
	if span, known := procfs.SysctlPortRange("net/ipv4/ip_local_port_range"); known {
		first, last = span[0], span[1]
	}
	holders, whole := procfs.SocketOwners()
	for _, s := range all {
		h, held := holders[s.Inode]
		v := doctor.UDPServer{Listener: s.Listener, Process: h.Name, PID: h.PID, KernelOwned: !held && whole}
		// What the kernel chose the port for asks, and does not answer.
		if held && s.Port >= first && s.Port <= last {
			continue
		}
		if held && s.Addr.IsUnspecified() {
			tells, err := h.ReceivesLocalAddress()
			v.PktInfoKnown, v.PktInfo = err == nil, tells
		}
		c.result.Sockets = append(c.result.Sockets, v)
	}
	return nil
}
