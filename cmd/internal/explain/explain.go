// Package explain traces a packet through the host's routing policy database, rule by rule, and compares the result with
// the kernel's route look-up.
package explain

import (
	"context"
	"net/netip"

	"replypath/cmd/internal/host"
	"replypath/marks/dnat"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// Explainer traces packets in its network namespace. It needs no privileges.
type Explainer struct {
	handle   *rtnl.Handle
	names    rpdb.Names
	settings uplinks.Settings // without uplinks if there is no configuration

	// DNAT has the rules of other programs that keep requests from a socket, as far as they could be read.
	DNAT dnat.Rules

	// UDP says which servers on the wildcard address reply from the address that was asked, by the programs of [udp].
	UDP host.UDPHelp
}

// Open returns an Explainer. Close closes it.
func Open(s uplinks.Settings, n rpdb.Names) (*Explainer, error) {
	handle, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	for _, u := range s.Uplinks {
		n.Tables[s.Table(u)] = u.Name
	}
	for _, p := range s.Outbound.Policies {
		n.Tables[s.PolicyTable(p.Name)] = "policy-" + p.Name
	}
	return &Explainer{handle: handle, names: n, settings: s}, nil
}

// Close closes the netlink socket.
func (e *Explainer) Close() { e.handle.Close() }

// Trace is the path of a packet through the rules and the kernel's answer.
type Trace struct {
	Packet     rpdb.Packet
	Database   *rpdb.Database
	Result     rpdb.Result
	NotQueried string      // why the kernel was not queried; empty if it was
	Mismatch   string      // how the kernel's answer differs; empty if it agrees
	FIBMatch   rpdb.Answer // the kernel's route as in its table (RTM_F_FIB_MATCH)
	Resolved   rpdb.Answer // the kernel's next hop and source for this packet
	// Interception is the proxy that the packet is for; nil: none.
	Interception *Interception
}

// maxAttempts limits how often a trace that differs from the kernel's answer is repeated: rules may change between reading
// them and querying the kernel.
const maxAttempts = 3

// Trace traces the packet through the rules and queries the kernel.
func (e *Explainer) Trace(ctx context.Context, p rpdb.Packet) (w Trace, err error) {
	for range maxAttempts {
		if w, err = e.traceOnce(ctx, p); err != nil || w.Mismatch == "" {
			break
		}
	}
	return w, err
}

func (e *Explainer) traceOnce(ctx context.Context, p rpdb.Packet) (w Trace, err error) {
	about := []netip.Addr{p.To}
	if p.From.IsValid() {
		about = append(about, p.From)
	}
	d, err := e.handle.PolicyDatabase(ctx, p.Family, about...)
	if err != nil {
		return w, err
	}
	procfs.ReadInputChecks(d)
	w = Trace{Packet: p, Database: d, Result: d.LookUp(p), NotQueried: d.UnsupportedQuery(p)}
	if w.NotQueried != "" {
		return w, nil
	}
	if w.FIBMatch, w.Resolved, err = e.handle.LookUpRoute(d, p.Query()); err != nil {
		return w, err
	}
	if !w.Result.ByHash {
		w.Mismatch = w.Result.Difference(w.FIBMatch)
	}
	return w, nil
}

// Arrives reports whether the packet is routed or delivered, and the kernel agrees.
func (w Trace) Arrives() bool {
	j := w.Result
	if w.Interception != nil && !w.Interception.Takes() && w.Interception.Drop {
		return false
	}
	return w.Mismatch == "" && j.DropReason == "" && (j.Error == 0 || j.OnLink)
}

// Link returns the link that the packet leaves by, or "" if it does not leave or if there are several.
func (w Trace) Link() string {
	switch r := w.Result.Route; {
	case !w.Arrives():
		return ""
	case w.Result.OnLink:
		return w.Packet.Out
	case r.Type == rpdb.Local:
		return ""
	case w.Resolved.Route != nil && len(w.Resolved.Route.Hops) == 1:
		return w.Resolved.Route.Hops[0].Link
	case len(r.Hops) == 1:
		return r.Hops[0].Link
	}
	return ""
}
