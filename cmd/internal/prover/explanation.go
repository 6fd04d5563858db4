package prover

import (
	"context"
	"net/netip"

	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/systemd"
	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// readExplanation reads what only explains a verdict that is not a plain yes: rules and routes, the firewall, sysctls, sockets. A
// firewall that cannot be read leaves the snapshot without its rules.
func (r *run) readExplanation(ctx context.Context) (s proof.Snapshot, err error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return s, err
	}
	defer links.Close()
	s.Facts, _, err = host.ReadKernel(ctx, links)
	if err != nil {
		return s, err
	}
	s.Databases = map[uplinks.Family]*rpdb.Database{}
	for _, f := range s.Facts.Families() {
		db, err := links.PolicyDatabase(ctx, f, r.destinations(f)...)
		if err != nil {
			return s, err
		}
		procfs.ReadInputChecks(db)
		s.Databases[f] = db
	}
	if s.Servers, err = readServers(ctx); err != nil {
		return s, err
	}
	sysctls := proof.Sysctls(r.paths)
	s.Values, s.SetBy, s.Names = procfs.Values(sysctls), systemd.SysctlSources("/", sysctls), iproute.Names()
	s.Firewall, s.FirewallRead = r.rules.others, r.rules.read
	return s, nil
}

// destinations returns the addresses of the family that packets of the proof are sent to.
func (r *run) destinations(f uplinks.Family) (all []netip.Addr) {
	for _, a := range r.peerAddrs() {
		if uplinks.FamilyOf(a) == f {
			all = append(all, a)
		}
	}
	for _, p := range r.paths {
		if p.Family == f {
			all = append(all, p.Source)
		}
	}
	if lan := r.lan[f]; lan != nil {
		all = append(all, lan.Addr)
	}
	return append(all, proof.ClientAddrs(r.networks, f)...)
}

// readServers returns the sockets that serve TCP and UDP.
func readServers(ctx context.Context) (all []proof.Server, err error) {
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		sockets, err := rtnl.ServerSockets(ctx, proto)
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			all = append(all, proof.Server{Listener: s.Listener, Proto: proto, UID: s.UID})
		}
	}
	return all, nil
}

// evaluate returns the verdict on each path of the subset.
func (r *run) evaluate(s proof.Snapshot, subset []health.Path, t *trace, traceErr error) []proof.PathResult {
	routes := map[health.Key]health.ProofCheck{}
	for _, p := range subset {
		routes[p.Key] = r.checkRoutes(s, p)
	}
	requests := map[health.Key][]proof.RequestResult{}
	for _, result := range s.CheckTraces(t.requests, t.traces(), routes) {
		k := result.Request.Path.Key
		requests[k] = append(requests[k], result)
	}
	return r.pathResults(subset, routes, requests, traceErr)
}
