package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Limits on clients. The connection of a client that exceeds one is closed.
const (
	maxHeaderBytes      = 8 << 10
	maxConns            = 128
	maxStreams          = 32 // of events, at a time
	maxStreamsPerClient = 8  // of them from one client
	maxScrapes          = 4  // of metrics, at a time
)

// Descriptors that are left to the service: without them it could neither repair nor probe.
const (
	reservedDescriptors = 64
	minConns            = 4
)

// connLimit returns the number of connections under a limit of descriptors: half of what the service does not need.
func connLimit(descriptors uint64) int {
	if descriptors <= reservedDescriptors+2*minConns {
		return minConns
	}
	return int(min((descriptors-reservedDescriptors)/2, maxConns))
}

// currentConnLimit returns the number of connections under the limit of descriptors of this process.
func currentConnLimit() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return maxConns // a sandbox refuses the question
	}
	return connLimit(l.Cur)
}

// SocketOwner returns the user ID of the owner of a TCP socket of this host; found is false for one of another host.
type SocketOwner func(local, remote netip.AddrPort) (uid uint32, found bool, err error)

// clientKey returns the name under which the streams of the client of a request are counted. For clients on
// this host that is the user, who can use all loopback addresses; for others the address, in IPv6 the /64 network.
func clientKey(r *http.Request, owner SocketOwner) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if local, ok := localAddr(r.Context()); ok && owner != nil {
		if uid, found, err := owner(remote, local); err == nil && found {
			return fmt.Sprintf("user %d", uid)
		}
	}
	switch a := remote.Addr().Unmap().WithZone(""); {
	case a.IsLoopback():
		return "loopback"
	case a.Is6():
		network, _ := a.Prefix(64) // no error: a has 128 bits
		return network.String()
	default:
		return a.String()
	}
}

// localAddr returns the address of the server in a request's connection.
func localAddr(ctx context.Context) (netip.AddrPort, bool) {
	a, ok := ctx.Value(http.LocalAddrContextKey).(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}, false
	}
	return a.AddrPort(), true
}
