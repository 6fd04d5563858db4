package service

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestServiceRepairsDamage(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		box.ServeAll(b.Gateway)
		b.Start()
		p := b.RecordEgress()
		p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
		chains := [][]string{
			{b.IptablesName(4), "-t", "mangle", "-F"},
			{b.IptablesName(6), "-t", "mangle", "-D", "PREROUTING", "-j", "REPLYPATH-PRE"},
			{b.IptablesName(4), "-t", "mangle", "-I", "PREROUTING", "-i", "eth9", "-j", "ACCEPT"},
		}
		if backend == box.Nftables {
			chains = [][]string{
				{"nft", "flush ruleset"}, {"nft", "flush chain inet replypath ip6-prerouting"}, {"nft", "delete element inet replypath ip-in-map { eth1 }"},
				{"nft", "insert rule inet replypath ip-prerouting iifname eth9 accept"}, {"nft", "add table inet replypath { flags dormant; }"},
			}
		}
		for _, damage := range append(chains, [][]string{
			{"ip", "rule", "del", "priority", "2003"},
			{"ip", "-6", "rule", "del", "priority", "2000"},
			// It takes the kernel's own rules for main and default with it.
			{"sh", "-c", box.IgnoringErrors("ip rule flush; ip rule add priority 32766 lookup main")},
			{"sh", "-c", box.IgnoringErrors("ip route flush table 8202")},
			{"ip", "-6", "route", "replace", "default", "via", "2001:db8:a::9", "dev", "eth0", "table", "8201", "metric", "1024"},
			{"ip", "link", "set", "eth1", "group", "0"},
			{"sysctl", "-qw", "net.ipv4.conf.eth0.src_valid_mark=0"},
			{"sysctl", "-qw", "net.ipv4.tcp_fwmark_accept=0"},
		}...) {
			b.Gateway.Run(damage[0], damage[1:]...)
			b.AwaitInSync()
		}
		p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
	})
}

func TestServiceFollowsLinksThatComeAndGo(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	s := b.Start()
	u := b.Uplinks[1]
	b.Gateway.Run("ip", "link", "set", "eth1", "down")
	b.AwaitInSync()
	if r := b.Gateway.Run("ip", "route", "show", "table", "8202"); !strings.Contains(r, "unreachable default") || strings.Contains(r, "via") {
		t.Errorf("with the link down the table holds:\n%s", r)
	}
	u.Link.Up()
	b.Gateway.Run("ip", "-6", "addr", "add", u.Addr6.String()+"/64", "dev", "eth1", "nodad")
	b.AwaitInSync()
	p := b.RecordEgress()
	p.WantReplies(t, b.Client, u, u.Addr4, []world.Kind{world.KindTCP, world.KindPing})
	b.Gateway.Run("ip", "link", "set", "eth1", "name", "wan9")
	b.AwaitInSync()
	b.Gateway.Run("ip", "link", "set", "wan9", "name", "eth1")
	b.AwaitInSync()
	p.WantReplies(t, b.Client, u, u.Addr4, []world.Kind{world.KindTCP, world.KindPing})
	b.Gateway.Run("ip", "addr", "add", "192.0.2.44/24", "dev", "eth1")
	b.AwaitInSync()
	if r := b.Gateway.Run("ip", "rule"); !strings.Contains(r, "from 192.0.2.44 lookup 8202") {
		t.Errorf("the new address has no rule:\n%s", r)
	}
	s.Stop()
}

func TestServiceFollowsTheGatewayThatTheKernelLearns(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Write("[uplinks.a]\nid = 1\ninterface = \"eth0\"\ngateway = \"auto\"\n[uplinks.b]\nid = 2\ninterface = \"eth1\"\ngateway = \"auto\"\n")
	b.Start()
	b.Gateway.Run("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "eth1", "metric", "100", "protocol", "dhcp")
	b.AwaitInSync()
	tables := func() string { return b.Gateway.Run("ip", "route", "show", "table", "8202") }
	if !strings.Contains(tables(), "default via 192.0.2.1") {
		t.Errorf("the lease's gateway is not taken:\n%s", tables())
	}
	b.Gateway.Run("ip", "route", "replace", "default", "via", "192.0.2.7", "dev", "eth1", "metric", "100", "protocol", "dhcp")
	b.AwaitInSync()
	if !strings.Contains(tables(), "default via 192.0.2.7") || strings.Contains(tables(), "192.0.2.1 ") {
		t.Errorf("the renewed gateway is not taken:\n%s", tables())
	}
}

func TestReloadAppliesTheNewConfiguration(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 3, world.Options{}))
	b.Configure(b.Uplinks[0], b.Uplinks[1])
	box.ServeAll(b.Gateway)
	s := b.Start()
	held, err := b.Client.Connect(world.Request{Kind: world.KindTCP, To: b.Uplinks[1].Port4(box.ServedPort)}, 50)
	if err != nil {
		t.Fatal(err)
	}
	b.Configure(b.Uplinks...)
	b.Must(0, "reload")
	b.Must(0, "plan")
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
	for _, refuse := range []func(){
		func() { s.Signal(syscall.SIGHUP); s.AwaitNotify("refused") },
		func() { b.Must(2, "reload") },
		func() { b.Must(2, "apply") },
	} {
		b.Write("nonsense = 1\n")
		refuse()
		if r := b.Must(3, "status"); !strings.Contains(r.Stdout, "refused") || !strings.Contains(r.Stdout, "nonsense") {
			t.Errorf("status after a refused reload: %s", r)
		}
		b.Configure(b.Uplinks...)
		b.Must(0, "plan")
		b.Must(0, "reload")
	}
	b.Configure(b.Uplinks[1], b.Uplinks[2])
	b.Must(0, "reload")
	if r := b.Gateway.Run("ip", "rule"); strings.Contains(r, "8201") {
		t.Errorf("rules of the removed uplink are left:\n%s", r)
	}
	if n := held.Alive(box.EventualTimeout); n != 50 {
		t.Errorf("%d of 50 connections of another uplink live", n)
	}
}

func TestSecondServiceIsRefusedAndStopKeepsTheKernel(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	box.ServeAll(b.Gateway)
	s := b.Start()
	b.AwaitUp() // status exits with 3 until the first answers
	if r := b.Must(0, "status"); !strings.Contains(r.Stdout, "in sync") {
		t.Errorf("status: %s", r)
	}
	if r := b.Run("run"); r.Status != 1 || !strings.Contains(r.Stderr, "another") {
		t.Errorf("a second service: %s", r)
	}
	if r := b.Run("flush"); r.Status != 1 || !strings.Contains(r.Stderr, "stop it first") {
		t.Errorf("flush beside the service: %s", r)
	}
	held, err := b.Client.Connect(world.Request{Kind: world.KindTCP, To: b.Uplinks[1].Port4(box.ServedPort)}, 200)
	if err != nil {
		t.Fatal(err)
	}
	p := b.RecordEgress()
	s.Kill()
	b.Must(0, "plan")
	s = b.Start()
	s.Stop()
	b.Must(0, "plan")
	b.Start()
	if n := held.Alive(box.EventualTimeout); n != 200 {
		t.Errorf("%d of 200 connections live", n)
	}
	p.Settle()
	p.WantSymmetric(t, b.Uplinks[1], b.Uplinks[1].Addr4, 200)
	p.Begin()
}

func TestControlSocketSurvivesInvalidInput(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	path := filepath.Join(b.Dir, "state", "control.sock")
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
	b.AwaitInSync()
}

func TestServiceServesItsOwnNamespaceOnly(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Start()
	elsewhere := box.New(t, world.TwoISPs(t))
	elsewhere.Dir, elsewhere.Config = b.Dir, b.Config // what a host's namespaces share
	if r := elsewhere.Must(0, "apply"); !strings.Contains(r.Stdout, "applied") {
		t.Errorf("apply was left to the service of another namespace: %s", r)
	}
	elsewhere.Must(0, "plan")
	elsewhere.Must(1, "status")
	elsewhere.Must(0, "flush")
	b.Must(0, "plan")
}
