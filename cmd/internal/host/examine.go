package host

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/doctor"
	"replypath/health"
	"replypath/health/inject"
	"replypath/marks/xtables"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// Examination says what to look at.
type Examination struct {
	Root       string // below which the host's files are
	State      string // the folder in which values found are remembered
	Settings   uplinks.Settings
	Health     health.Settings
	Privileged bool // what needs root can be looked at
}

// Examine sees all that a doctor goes by, and names what could not be seen. It changes nothing.
func Examine(ctx context.Context, e Examination) (doctor.Seen, []doctor.Unseen, error) {
	x := &examiner{Examination: e, seen: doctor.Seen{Settings: e.Settings}}
	links, err := rtnl.Open(e.Settings.TableBase)
	if err != nil {
		return x.seen, nil, err
	}
	defer links.Close()
	if x.seen.Facts, x.seen.State, err = look(ctx, links); err != nil {
		return x.seen, nil, err
	}
	x.try("what was found before us", x.remember)
	for _, f := range uplinks.Families {
		if f == uplinks.IPv4 || x.seen.Facts.IPv6 {
			d, err := links.Policy(ctx, f)
			if err != nil {
				return x.seen, nil, err
			}
			x.seen.Rules = append(x.seen.Rules, d)
		}
	}
	x.seen.Names = Names()
	x.seen.Watched = health.Findings(e.Health, e.Settings, x.seen.Facts)
	x.sysctls()
	x.try("MTUs", func() (err error) { x.seen.Natures, err = links.Natures(ctx); return err })
	x.try("UDP servers", func() error { return x.sockets(ctx) })
	x.files()
	x.privileged(ctx)
	return x.seen, x.unseen, nil
}

type examiner struct {
	Examination
	seen   doctor.Seen
	unseen []doctor.Unseen
}

// try goes on without what cannot be looked at.
func (x *examiner) try(what string, look func() error) {
	if err := look(); err != nil {
		x.unseen = append(x.unseen, doctor.Unseen{What: what, Why: err.Error()})
	}
}

var errNeedsRoot = errors.New("it needs root: run it with sudo")

// privileged looks at what the kernel shows to root only.
func (x *examiner) privileged(ctx context.Context) {
	if !x.Privileged {
		for _, what := range []string{"the rules of the firewall", "connections", "whether the reply path can be shown"} {
			x.try(what, func() error { return errNeedsRoot })
		}
		return
	}
	x.try("the rules of the firewall", func() error { return x.firewall(ctx) })
	x.try("connections", func() (err error) {
		x.seen.Flows, err = rtnl.MarkedFlows(ctx, x.Settings.Mask)
		return err
	})
	if gate, err := inject.Open(); err != nil {
		x.seen.Unproven = err.Error()
	} else {
		gate.Close()
	}
}

func (x *examiner) remember() error {
	found, err := openRecord(x.State)
	if err != nil {
		// Nothing is said of what is not known.
		x.seen.Facts.Found = map[uplinks.Tunable]uplinks.Found{}
		for name := range x.seen.Facts.Links {
			x.seen.Facts.Found[uplinks.Tunable{Link: name, Name: uplinks.LinkGroup}] = uplinks.Found{}
		}
		return err
	}
	x.seen.Facts.Found = found.of(x.seen.Facts)
	return nil
}

func (x *examiner) sysctls() {
	sysctls := doctor.Sysctls(x.seen.Facts)
	x.seen.Values = procfs.Values(sysctls)
	x.seen.SetBy = setAtBoot(x.Root, sysctls)
	x.seen.Dropped, _ = procfs.Counter("TcpExt", "IPReversePathFilter")
	x.seen.Tracked, _ = procfs.Number("net/netfilter/nf_conntrack_count")
	x.seen.Room, _ = procfs.Number("net/netfilter/nf_conntrack_max")
}

// firewall reads the rules of others. What of iptables is missing is a finding, as nothing can be applied without it.
func (x *examiner) firewall(ctx context.Context) error {
	fw, err := openFirewall(ctx, x.Settings.Backend)
	if err != nil {
		x.seen.Tools = append(x.seen.Tools, doctor.Unseen{What: "the iptables commands cannot be used", Why: err.Error()})
	} else {
		err = fw.read(ctx, &x.seen.Facts, &x.seen.State)
		if err != nil {
			return err
		}
		x.lacks(ctx, fw)
	}
	var families []xtables.Tables
	for f := range fw.families {
		families = append(families, fw.families[f])
	}
	x.seen.Firewall, err = xtables.Foreign(ctx, families...)
	return err
}

func (x *examiner) lacks(ctx context.Context, fw firewall) {
	for _, f := range uplinks.Families {
		t := fw.table(f, fw.backend)
		if t == nil || t.Absent() {
			continue
		}
		if err := t.Lacks(ctx); err != nil {
			x.seen.Tools = append(x.seen.Tools, doctor.Unseen{What: fmt.Sprintf("a match or target for %s is missing", f), Why: err.Error()})
		}
	}
}

// sockets finds out who has which UDP socket, and whether it asks at which address it is asked.
func (x *examiner) sockets(ctx context.Context) error {
	all, err := rtnl.Sockets(ctx, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	var first, last uint16
	if span, known := procfs.Span("net/ipv4/ip_local_port_range"); known {
		first, last = span[0], span[1]
	}
	holders, whole := procfs.Holders()
	for _, s := range all {
		h, held := holders[s.Inode]
		v := doctor.Server{Listener: s.Listener, Process: h.Name, ID: h.ID, Kernel: !held && whole}
		// What the kernel chose the port for asks, and does not answer.
		if held && s.Port >= first && s.Port <= last {
			continue
		}
		if held && s.Addr.IsUnspecified() {
			tells, err := h.TellsAddress()
			v.Asked, v.Tells = err == nil, tells
		}
		x.seen.Sockets = append(x.seen.Sockets, v)
	}
	return nil
}
