package test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/world"
)

func TestServiceRepairsDamage(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backend)
		serveAll(b.Gateway)
		b.start()
		p := b.recordEgress()
		p.wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
		for _, damage := range [][]string{
			{"ip", "rule", "del", "priority", "2003"},
			{"ip", "-6", "rule", "del", "priority", "2000"},
			// It takes the kernel's own rules for main and default with it.
			{"sh", "-c", ignoringErrors("ip rule flush; ip rule add priority 32766 lookup main")},
			{"sh", "-c", ignoringErrors("ip route flush table 8202")},
			{"ip", "-6", "route", "replace", "default", "via", "2001:db8:a::9", "dev", "eth0", "table", "8201", "metric", "1024"},
			{"ip", "link", "set", "eth1", "group", "0"},
			{"sysctl", "-qw", "net.ipv4.conf.eth0.src_valid_mark=0"},
			{"sysctl", "-qw", "net.ipv4.tcp_fwmark_accept=0"},
			{b.iptablesName(4), "-t", "mangle", "-F"},
			{b.iptablesName(6), "-t", "mangle", "-D", "PREROUTING", "-j", "REPLYPATH-PRE"},
			{b.iptablesName(4), "-t", "mangle", "-I", "PREROUTING", "-i", "eth9", "-j", "ACCEPT"},
		} {
			b.Gateway.Run(damage[0], damage[1:]...)
			b.awaitInSync()
		}
		p.wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
	})
}

func TestServiceFollowsLinksThatComeAndGo(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	serveAll(b.Gateway)
	s := b.start()
	u := b.Uplinks[1]
	b.Gateway.Run("ip", "link", "set", "eth1", "down")
	b.awaitInSync()
	if r := b.Gateway.Run("ip", "route", "show", "table", "8202"); !strings.Contains(r, "unreachable default") || strings.Contains(r, "via") {
		t.Errorf("with the link down the table holds:\n%s", r)
	}
	u.Link.Up()
	b.Gateway.Run("ip", "-6", "addr", "add", u.Addr6.String()+"/64", "dev", "eth1", "nodad")
	b.awaitInSync()
	p := b.recordEgress()
	p.wantReplies(t, b.Client, u, u.Addr4, []world.Kind{world.KindTCP, world.KindPing})
	b.Gateway.Run("ip", "link", "set", "eth1", "name", "wan9")
	b.awaitInSync()
	b.Gateway.Run("ip", "link", "set", "wan9", "name", "eth1")
	b.awaitInSync()
	p.wantReplies(t, b.Client, u, u.Addr4, []world.Kind{world.KindTCP, world.KindPing})
	b.Gateway.Run("ip", "addr", "add", "192.0.2.44/24", "dev", "eth1")
	b.awaitInSync()
	if r := b.Gateway.Run("ip", "rule"); !strings.Contains(r, "from 192.0.2.44 lookup 8202") {
		t.Errorf("the new address has no rule:\n%s", r)
	}
	s.stop()
}

func TestServiceFollowsTheGatewayThatTheKernelLearns(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.write("[uplinks.a]\nid = 1\ninterface = \"eth0\"\ngateway = \"auto\"\n[uplinks.b]\nid = 2\ninterface = \"eth1\"\ngateway = \"auto\"\n")
	b.start()
	b.Gateway.Run("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "eth1", "metric", "100", "protocol", "dhcp")
	b.awaitInSync()
	tables := func() string { return b.Gateway.Run("ip", "route", "show", "table", "8202") }
	if !strings.Contains(tables(), "default via 192.0.2.1") {
		t.Errorf("the lease's gateway is not taken:\n%s", tables())
	}
	b.Gateway.Run("ip", "route", "replace", "default", "via", "192.0.2.7", "dev", "eth1", "metric", "100", "protocol", "dhcp")
	b.awaitInSync()
	if !strings.Contains(tables(), "default via 192.0.2.7") || strings.Contains(tables(), "192.0.2.1 ") {
		t.Errorf("the renewed gateway is not taken:\n%s", tables())
	}
}

func TestReloadAppliesTheNewConfiguration(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 3, world.Options{}))
	b.configure(b.Uplinks[0], b.Uplinks[1])
	serveAll(b.Gateway)
	s := b.start()
	held, err := b.Client.Connect(world.Request{Kind: world.KindTCP, To: b.Uplinks[1].Port4(servedPort)}, 50)
	if err != nil {
		t.Fatal(err)
	}
	b.configure(b.Uplinks...)
	b.must(0, "reload")
	b.must(0, "plan")
	b.recordEgress().wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
	b.write("nonsense = 1\n")
	b.must(2, "reload")
	s.signal(syscall.SIGHUP)
	s.awaitNotify("refused")
	if r := b.must(3, "status"); !strings.Contains(r.stdout, "refused") || !strings.Contains(r.stdout, "nonsense") {
		t.Errorf("status after a refused reload: %s", r)
	}
	b.configure(b.Uplinks...)
	b.must(0, "plan")
	b.configure(b.Uplinks[1], b.Uplinks[2])
	b.must(0, "reload")
	if r := b.Gateway.Run("ip", "rule"); strings.Contains(r, "8201") {
		t.Errorf("rules of the removed uplink are left:\n%s", r)
	}
	if n := held.Alive(5 * time.Second); n != 50 {
		t.Errorf("%d of 50 connections of another uplink live", n)
	}
}

func TestSecondServiceIsRefusedAndStopKeepsTheKernel(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	serveAll(b.Gateway)
	s := b.start()
	if r := b.must(0, "status"); !strings.Contains(r.stdout, "in sync") {
		t.Errorf("status: %s", r)
	}
	if r := b.run("run"); r.status != 1 || !strings.Contains(r.stderr, "another") {
		t.Errorf("a second service: %s", r)
	}
	if r := b.run("flush"); r.status != 1 || !strings.Contains(r.stderr, "stop it first") {
		t.Errorf("flush beside the service: %s", r)
	}
	held, err := b.Client.Connect(world.Request{Kind: world.KindTCP, To: b.Uplinks[1].Port4(servedPort)}, 200)
	if err != nil {
		t.Fatal(err)
	}
	p := b.recordEgress()
	s.kill()
	b.must(0, "plan")
	s = b.start()
	s.stop()
	b.must(0, "plan")
	b.start()
	if n := held.Alive(5 * time.Second); n != 200 {
		t.Errorf("%d of 200 connections live", n)
	}
	reset := p.settle()
	p.wantSymmetric(t, b.Uplinks[1], b.Uplinks[1].Addr4, 200)
	reset()
}

func TestControlSocketSurvivesInvalidInput(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.start()
	path := filepath.Join(b.dir, "state", "control.sock")
	for _, nonsense := range []string{"", "\n", "{}\n", `{"do":"explode"}` + "\n", strings.Repeat("x", 1<<20)} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(nonsense)) // it may hang up early
		c.Close()
	}
	for range 100 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v, %v", info.Mode(), err)
	}
	b.Gateway.Run("ip", "rule", "del", "priority", "2003")
	b.awaitInSync()
}

func TestServiceServesItsOwnNamespaceOnly(t *testing.T) {
	b := newBox(t, world.TwoISPs(t))
	b.start()
	elsewhere := newBox(t, world.TwoISPs(t))
	elsewhere.dir, elsewhere.config = b.dir, b.config // what a host's namespaces share
	if r := elsewhere.must(0, "apply"); !strings.Contains(r.stdout, "applied") {
		t.Errorf("apply was left to the service of another namespace: %s", r)
	}
	elsewhere.must(0, "plan")
	elsewhere.must(1, "status")
	elsewhere.must(0, "flush")
	b.must(0, "plan")
}
