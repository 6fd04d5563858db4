// Package explain tells the way of one packet through a host's routing policy database, and whether the kernel says the
// same.
package explain

import (
	"context"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// Explainer explains packets on the host of its network namespace. It needs no privilege.
type Explainer struct {
	handle   *rtnl.Handle
	names    rpdb.Names
	settings uplinks.Settings // without uplinks where there is no configuration
}

// Open opens an explainer.
func Open(s uplinks.Settings, n rpdb.Names) (*Explainer, error) {
	handle, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	for _, u := range s.Uplinks {
		n.Tables[s.Table(u)] = u.Name
	}
	return &Explainer{handle, n, s}, nil
}

// Close closes the explainer's socket.
func (e *Explainer) Close() { e.handle.Close() }

// Trace is what becomes of a packet.
type Trace struct {
	Packet     rpdb.Packet
	Database   *rpdb.Database
	Judgement  rpdb.Result
	NotQueried string      // why the kernel cannot be asked; empty: it was
	Mismatch   string      // how the kernel's answer differs; empty: it agrees
	FIBMatch   rpdb.Answer // the kernel's: the route as it stands in its table
	Resolved   rpdb.Answer // the kernel's: the hop and the source for this packet
}

// maxAttempts bounds how often a packet is explained again because the kernel says otherwise, which it may also do when
// somebody changes a rule between the reading and the question.
const maxAttempts = 3

// Trace walks and asks.
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
	w = Trace{Packet: p, Database: d, Judgement: d.LookUp(p), NotQueried: d.UnsupportedQuery(p)}
	if w.NotQueried != "" {
		return w, nil
	}
	if w.FIBMatch, w.Resolved, err = e.handle.LookUpRoute(d, p.Query()); err != nil {
		return w, err
	}
	if !w.Judgement.ByHash {
		w.Mismatch = w.Judgement.Difference(w.FIBMatch)
	}
	return w, nil
}

// Arrives reports whether the packet gets somewhere, and the kernel says so too.
func (w Trace) Arrives() bool {
	j := w.Judgement
	return w.Mismatch == "" && j.DropReason == "" && (j.Error == 0 || j.OnLink)
}

// Link is the link that the packet leaves by; empty when it does not leave, or by several.
func (w Trace) Link() string {
	switch r := w.Judgement.Route; {
	case !w.Arrives():
		return ""
	case w.Judgement.OnLink:
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

// uplink is the one by that link, if any.
func (e *Explainer) uplink(link string) (uplinks.Uplink, bool) {
	i := slices.IndexFunc(e.settings.Uplinks, func(u uplinks.Uplink) bool { return u.Link == link })
	if i < 0 {
		return uplinks.Uplink{}, false
	}
	return e.settings.Uplinks[i], true
}
