// Package resolve resolves host names through the uplink that is probed, and caches the addresses.
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

// Lifetime is how long an address is cached.
const Lifetime = time.Minute

// Resolver resolves host names and caches one address for each path and name. It is safe for concurrent use.
type Resolver struct {
	mu    sync.Mutex
	cache map[cacheKey]entry
}

// cacheKey is a host name in one family of one uplink.
type cacheKey struct {
	health.Key
	host string
}

type entry struct {
	path     health.Path // through another interface or mark the address may differ
	addr     netip.Addr
	resolved time.Time
}

// New returns a resolver with an empty cache.
func New() *Resolver { return &Resolver{cache: map[cacheKey]entry{}} }

// Lookup returns an address of the host, which is a name or an address, in the path's family.
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

// Invalidate drops the cached address after a failed probe, so that the next one resolves the host again.
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
		return addr, fmt.Errorf("%s is not an %s address", addr, p.Family)
	}
	return addr, nil
}

// queryServers queries the host's name servers through the path and returns the first address.
func queryServers(ctx context.Context, p health.Path, host string) (netip.Addr, error) {
	servers := newNameServers(resolvConf, stubConf)
	// net.Resolver gives Dial contexts that outlive ctx, so the connections are closed when ctx is done.
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
		return netip.Addr{}, errors.New("no name server replied in time")
	case errors.As(err, &dns) && dns.IsNotFound:
		return netip.Addr{}, fmt.Errorf("the host has no %s address", p.Family)
	case err != nil:
		return netip.Addr{}, err
	case len(addrs) == 0:
		return netip.Addr{}, fmt.Errorf("the host has no %s address", p.Family)
	}
	return addrs[0].Unmap(), nil
}
