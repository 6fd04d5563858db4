package test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"replypath/test/world"
)

const ftpPort = 21

// An FTP server with a management network is where all this began: a control connection that comes in by one uplink, a
// data connection that either side may open, and a main table that knows the client by the other uplink.
func TestFTPServerOnTheGateway(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		for what, prepare := range mainTables {
			t.Run(what, func(t *testing.T) {
				b := newFTP(t, backend, prepare)
				b.helpFTP(4)
				b.helpFTP(6)
				b.serveAndFetch(t)
			})
		}
	})
}

// Without the helper nobody tells the server's own data connections whose they are, but the address that they come from.
func TestFTPServerOnTheGatewayWithoutHelper(t *testing.T) {
	for what, prepare := range mainTables {
		t.Run(what, func(t *testing.T) { newFTP(t, backends[0], prepare).serveAndFetch(t) })
	}
}

func newFTP(t *testing.T, backend string, prepare func(*box)) *box {
	t.Helper()
	b := newBox(t, conditions{rpFilter: 1, noDefault: true}.build(t, 2, world.Options{}), backend)
	prepare(b)
	return b
}

func (b *box) serveAndFetch(t *testing.T) {
	t.Helper()
	file := b.serveFTP(b.Gateway)
	b.apply()
	for _, u := range b.Uplinks {
		b.fetchAll(t, u, u.Port4(ftpPort), file, passive, extendedPassive, active, extendedActive)
		b.fetchAll(t, u, u.Port6(ftpPort), file, extendedPassive, extendedActive)
	}
}

// mainTables are main tables that know the client by one uplink only.
var mainTables = map[string]func(*box){
	"main knows the client by the first uplink, and has no default route": func(b *box) {
		b.knowClientBy(b.Uplinks[0])
	},
	"main knows the client by the second uplink, and has its default by the first": func(b *box) {
		b.DefaultBy(b.Uplinks[0])
		b.knowClientBy(b.Uplinks[1])
	},
}

// knowClientBy gives main a specific route to the client's network.
func (b *box) knowClientBy(u *world.Uplink) {
	b.t.Helper()
	b.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(b.Client4, 24).Masked(), Via: u.Router4, Link: u.Link})
	b.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(b.Client6, 64).Masked(), Via: u.RouterLL, Link: u.Link})
}

func TestFTPServerBehindDNAT(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		for what, prepare := range mainTables {
			t.Run(what, func(t *testing.T) {
				b := newFTP(t, backend, prepare)
				b.helpFTP(4)
				for _, u := range b.Uplinks {
					b.iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-p", "tcp", "--dport", "21", "-j", "DNAT", "--to", b.LAN4.String())
				}
				file := b.serveFTP(b.LAN)
				b.apply()
				for _, u := range b.Uplinks {
					b.fetchAll(t, u, u.Port4(ftpPort), file, passive, extendedPassive, active, extendedActive)
				}
			})
		}
	})
}

// helpFTP attaches conntrack's helper, which sees data connections coming and, behind DNAT, translates them.
func (b *box) helpFTP(family int) {
	b.t.Helper()
	b.iptables(family, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "21", "-j", "CT", "--helper", "ftp")
}

// fetchAll fetches the file in every mode, and wants all that left on the way to have left by the uplink.
func (b *box) fetchAll(t *testing.T, u *world.Uplink, server netip.AddrPort, want []byte, modes ...ftpMode) {
	t.Helper()
	p := b.recordEgress()
	for _, mode := range modes {
		got, err := fetch(b.Client, server, "file", mode)
		if err != nil {
			t.Fatalf("%s to %s: %v", mode, server, err) // the others would take as long to fail
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s to %s: %d bytes came, not the %d of the file", mode, server, len(got), len(want))
		}
	}
	p.Settle()
	p.wantSymmetric(t, u, server.Addr(), 2*len(modes))
}

// serveFTP runs vsftpd on a host, and gives what is in its one file.
func (b *box) serveFTP(h *world.Host) (file []byte) {
	b.t.Helper()
	folder := func(name string) string {
		path := filepath.Join(b.dir, name)
		if err := os.Mkdir(path, 0o555); err != nil {
			b.t.Fatal(err)
		}
		return path
	}
	root, empty := folder("ftp"), folder("empty")
	file = bytes.Repeat([]byte("a reply leaves by the interface its question came in on\n"), 2000)
	config := filepath.Join(b.dir, "vsftpd.conf")
	text := "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\n" +
		"connect_from_port_20=YES\nsession_support=NO\nseccomp_sandbox=NO\n" +
		"isolate=NO\nisolate_network=NO\nftp_username=daemon\n" +
		"anon_root=" + root + "\nsecure_chroot_dir=" + empty + "\n"
	for path, content := range map[string]string{filepath.Join(root, "file"): string(file), config: text} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	// It writes its last words to its standard input, which is where its client would be under inetd.
	words, err := os.Create(filepath.Join(b.dir, "vsftpd.words"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer words.Close()
	server := h.Command(b.t.Context(), "vsftpd", config)
	server.Stdin = words
	if err := server.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	for {
		// The kernel tells nobody that somebody listens.
		var c net.Conn
		var err error
		h.Do(func() { c, err = net.Dial("tcp", "[::1]:21") })
		if err == nil {
			c.Close()
			return file
		}
		select {
		case err := <-ended:
			output, _ := os.ReadFile(words.Name())
			b.t.Fatalf("vsftpd: %v\n%s", err, output)
		case <-b.t.Context().Done():
			b.t.Fatal("vsftpd does not listen")
		default:
		}
	}
}
