// Package resolve finds the addresses of host names through the uplink that will ask them.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/socket"
	"replypath/uplinks"
)

// Lifetime is how long an address is believed.
const Lifetime = time.Minute

// Resolver finds addresses, and keeps each for its Lifetime: one for every path and name. It may be used from many
// goroutines.
type Resolver struct {
	mu    sync.Mutex
	cache map[cacheKey]entry
}

// cacheKey is a host name as one uplink's family sees it.
type cacheKey struct {
	health.Key
	host string
}

type entry struct {
	path     health.Path // as it was: on another link or with another mark the answer may be another
	addr     netip.Addr
	resolved time.Time
}

// New is a resolver that knows nothing yet.
func New() *Resolver { return &Resolver{cache: map[cacheKey]entry{}} }

// Lookup is an address of the host in the path's family. A host that is written as an address is its own.
func (r *Resolver) Lookup(ctx context.Context, p health.Path, host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return requireFamily(p, addr.Unmap())
	}
	if addr, ok := r.cached(p, host); ok {
		return addr, nil
	}
	addr, err := queryServers(ctx, p, host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look up %s through %s: %w", host, p.Link, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache[cacheKey{p.Key, host}] = entry{p, addr, time.Now()}
	return addr, nil
}

// Invalidate has the next question look the host up again: whoever was asked at its address did not answer.
func (r *Resolver) Invalidate(p health.Path, host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cache, cacheKey{p.Key, host})
}

func (r *Resolver) cached(p health.Path, host string) (netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.cache[cacheKey{p.Key, host}]
	return e.addr, ok && e.path == p && time.Since(e.resolved) < Lifetime
}

func requireFamily(p health.Path, addr netip.Addr) (netip.Addr, error) {
	if uplinks.FamilyOf(addr) != p.Family {
		return addr, fmt.Errorf("%s is no %s address: it says nothing about this family", addr, p.Family)
	}
	return addr, nil
}

// queryServers asks the host's name servers through the path, and takes the first address.
func queryServers(ctx context.Context, p health.Path, host string) (netip.Addr, error) {
	servers := newNameServers(resolvConf, stubConf)
	// The resolver's own contexts outlive ctx, and with them what waits for a server that is silent.
	resolver := net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, server string) (net.Conn, error) {
		c, err := socket.MarkDialer(p).DialContext(ctx, network, servers.replaceStub(server))
		if err == nil {
			context.AfterFunc(ctx, func() { c.Close() })
		}
		return c, err
	}}
	network := map[uplinks.Family]string{uplinks.IPv4: "ip4", uplinks.IPv6: "ip6"}[p.Family]
	addrs, err := resolver.LookupNetIP(ctx, network, host)
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return netip.Addr{}, errors.New("no name server answers in time")
	case errors.As(err, &dns) && dns.IsNotFound:
		return netip.Addr{}, fmt.Errorf("it has no %s address", p.Family)
	case err != nil:
		return netip.Addr{}, err
	case len(addrs) == 0:
		return netip.Addr{}, fmt.Errorf("it has no %s address", p.Family)
	}
	return addrs[0].Unmap(), nil
}
