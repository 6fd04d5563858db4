package host

import (
	"context"
	"fmt"
	"hash/fnv"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"

	"golang.org/x/sync/errgroup"
)

// Event is a change of the host that may concern the uplinks.
type Event struct {
	Subject string            // the kind of object
	Origin  string            // the program that caused it, if the kernel reports it and it is not this one
	Link    uplinks.LinkState // of a link event
	Scope   uplinks.ChangedScope
	Foreign bool // it changes nothing of replypath's, but may change where replies go
}

// FirewallSubject is the subject of changes of nftables.
const FirewallSubject = "firewall"

// EventHandler handles the events of an EventSource, one at a time.
type EventHandler interface {
	HandleEvent(e Event)
}

// EventSource is a subscription to events of the kernel.
type EventSource interface {
	// Watch passes events to the handler until the context ends or the subscription is lost. The first event means that
	// the subscription has begun.
	Watch(ctx context.Context, handler EventHandler) error
	String() string
}

// LinkEvents returns the source of the events of links, addresses, routes, rules and announced sysctls.
func (h *Host) LinkEvents() EventSource { return linkEvents{h} }

// FirewallEvents returns the source of the changes of nftables, which do not include those of this program itself: a proof
// makes and deletes a table. The changes that iptables makes for this program are included, under the name of iptables.
func (h *Host) FirewallEvents() EventSource { return firewallEvents{h} }

// OutputEvents returns the source of the changes of what packets meet after they were routed: IPsec policies and permanent
// neighbour entries. All are Foreign.
func (h *Host) OutputEvents() EventSource { return outputEvents{} }

type linkEvents struct{ host *Host }

func (linkEvents) String() string { return "links, routes and rules" }

// Watch implements EventSource.
func (s linkEvents) Watch(ctx context.Context, handler EventHandler) error {
	return s.host.links.Watch(ctx, func(e rtnl.Event) {
		origin := ""
		if e.Port != 0 && !s.host.links.OwnsPort(e.Port) {
			origin = fmt.Sprintf("netlink port %d", e.Port)
		}
		handler.HandleEvent(Event{e.Subject, origin, e.Link, e.Scope, e.Foreign})
	})
}

type firewallEvents struct{ host *Host }

func (firewallEvents) String() string { return "firewall" }

// Watch implements EventSource. It identifies this program by its name, as the kernel reports process IDs of the PID
// namespace of the writer.
func (s firewallEvents) Watch(ctx context.Context, handler EventHandler) error {
	own := procfs.OwnCommand()
	return s.host.firewall.watch(ctx, func(p marks.Process) {
		if own != "" && p.Name == own {
			return
		}
		if p.LostTable {
			s.host.lost.generation.Store(p.Generation)
		}
		origin := ""
		if p.PID != 0 && !s.host.ownGenerations.contains(p.Generation) {
			origin = fmt.Sprintf("%s (process %d)", p.Name, p.PID)
		}
		handler.HandleEvent(Event{Subject: FirewallSubject, Origin: origin})
	})
}

// Fingerprint returns a hash of what the kernel does not announce: the sysctls of WatchTunables, the
// legacy firewall tables, and the sockets of transparent proxies.
func (h *Host) Fingerprint() (uint64, error) { return h.fingerprint(h.sysctls.AppendValues(nil)) }

// sysctlsPerPoll is how many sysctls PollFingerprint reads at least.
const sysctlsPerPoll = 16

// PollFingerprint returns what Fingerprint does, cheaply enough for several calls a second also with hundreds of uplinks: of more than
// sysctlsPerPoll sysctls it reads a part, so that it sees a change of one with the eighth call at the latest.
func (h *Host) PollFingerprint() (uint64, error) {
	return h.fingerprint(h.sysctls.AppendNext(nil, sysctlsPerPoll))
}

func (h *Host) fingerprint(sysctls []byte) (uint64, error) {
	sum := fnv.New64a()
	sum.Write(sysctls)
	for _, f := range uplinks.Families {
		t := h.firewall.table(f, marks.Legacy)
		if t == nil || !h.legacy.Exist(f) {
			continue
		}
		generation, err := t.Generation()
		if err != nil {
			return 0, err
		}
		fmt.Fprintln(sum, f, generation)
	}
	h.proxies.hash(sum)
	return sum.Sum64(), nil
}

// Reconfigure gives the settings to all later calls, chooses their firewall backend, and as the service protects the table of nftables if
// they want that, or no longer.
func (h *Host) Reconfigure(ctx context.Context, s uplinks.Settings) error {
	h.chains.Lock()
	defer h.chains.Unlock()
	h.links.SetTableBase(s.TableBase)
	h.proxies.set(s.Proxies())
	h.setSettings(s)
	if err := h.firewall.choose(ctx, s.Backend); err != nil {
		return err
	}
	return h.protect(s.Protect && h.isService)
}

type outputEvents struct{}

func (outputEvents) String() string { return "IPsec policies and neighbours" }

// Watch implements EventSource.
func (outputEvents) Watch(ctx context.Context, handler EventHandler) error {
	policies, err := rtnl.SubscribeToPolicies()
	if err != nil {
		return err
	}
	neighbours, err := rtnl.SubscribeToPermanentNeighbours()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	events := make(chan Event)
	pass := func(subject string) {
		select {
		case events <- Event{Subject: subject, Foreign: true}:
		case <-ctx.Done():
		}
	}
	g.Go(func() error { return policies.Receive(ctx, pass) })
	g.Go(func() error { return neighbours.Receive(ctx, pass) })
	g.Go(func() error {
		handler.HandleEvent(Event{Subject: "watching", Foreign: true})
		for {
			select {
			case e := <-events:
				handler.HandleEvent(e)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return g.Wait()
}
