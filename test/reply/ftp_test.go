package reply

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// An FTP server with a management network is where all this began: a control connection that comes in by one uplink, a
// data connection that either side may open, and a main table that knows the client by the other uplink.
func TestFTPServerOnTheGateway(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for what, prepare := range mainTables {
			t.Run(what, func(t *testing.T) {
				b := newFTP(t, backend, prepare)
				helpFTP(b, 4)
				helpFTP(b, 6)
				serveAndFetch(t, b)
			})
		}
	})
}

// Without the helper the server's own data connections have no mark: their source address selects the uplink.
func TestFTPServerOnTheGatewayWithoutHelper(t *testing.T) {
	t.Parallel()
	for what, prepare := range mainTables {
		t.Run(what, func(t *testing.T) { serveAndFetch(t, newFTP(t, box.Backends[0], prepare)) })
	}
}

func newFTP(t *testing.T, backend string, prepare func(*box.Box)) *box.Box {
	t.Helper()
	b := box.New(t, box.Conditions{RPFilter: 1, NoDefault: true}.Build(t, 2, world.Options{}), backend)
	prepare(b)
	return b
}

func serveAndFetch(t *testing.T, b *box.Box) {
	t.Helper()
	file := b.ServeFTP(b.Gateway)
	b.Apply()
	for _, u := range b.Uplinks {
		b.FetchAll(t, u, u.Port4(box.FTPPort), file, box.Passive, box.ExtendedPassive, box.Active, box.ExtendedActive)
		b.FetchAll(t, u, u.Port6(box.FTPPort), file, box.ExtendedPassive, box.ExtendedActive)
	}
}

// mainTables are main tables that know the client by one uplink only.
var mainTables = map[string]func(*box.Box){
	"main knows the client by the first uplink, and has no default route": func(b *box.Box) {
		b.RouteToClientBy(b.Uplinks[0])
	},
	"main knows the client by the second uplink, and has its default by the first": func(b *box.Box) {
		b.DefaultBy(b.Uplinks[0])
		b.RouteToClientBy(b.Uplinks[1])
	},
}

// The server opens its data connections, with the mark of the control connection. What the client sends on them is in their
// reply direction and goes inside: it is no stray reply.
func TestFTPServerBehindDNAT(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for what, prepare := range mainTables {
			t.Run(what, func(t *testing.T) {
				b := newFTP(t, backend, prepare)
				helpFTP(b, 4)
				for _, u := range b.Uplinks {
					b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-p", "tcp", "--dport", "21", "-j", "DNAT", "--to", b.LAN4.String())
				}
				file := b.ServeFTP(b.LAN)
				b.Apply()
				for _, u := range b.Uplinks {
					b.FetchAll(t, u, u.Port4(box.FTPPort), file, box.Passive, box.ExtendedPassive, box.Active, box.ExtendedActive)
					if n := replyCounters(b, 4, u.Index+1); n[0] == 0 || n[1] != 0 {
						t.Errorf("%s: %d replies are counted as symmetric, %d as strays; want some, and none", u.Link.Name, n[0], n[1])
					}
				}
			})
		}
	})
}

// helpFTP attaches conntrack's helper, which sees data connections coming and, behind DNAT, translates them.
func helpFTP(b *box.Box, family int) {
	b.T.Helper()
	b.Iptables(family, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "21", "-j", "CT", "--helper", "ftp")
}
