package pair

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// node is one gateway of the pair. Its programs see its own /run, and its own configurations in /etc.
type node struct {
	network    *network
	number     int
	host       *world.Host
	dir        string
	keepalived *world.Command
}

const program = "/run/replypath/replypath"

// build sets the node's addresses, sysctls and translations.
func (g *node) build() {
	own := fmt.Sprint(10 + g.number)
	g.host.Forward()
	lines := []string{"ip addr add 198.19.0." + fmt.Sprint(g.number) + "/30 dev sync0", "ip addr add 198.18.0." + own + "/24 dev lan0", "ip addr add 2001:db8:f::" + own + "/64 dev lan0 nodad",
		"ip addr add 198.51.100." + own + "/24 dev eth0", "ip addr add 2001:db8:a::" + own + "/64 dev eth0 nodad", "ip addr add 192.0.2." + own + "/24 dev eth1", "ip addr add 2001:db8:b::" + own + "/64 dev eth1 nodad",
		"ip route add default via 198.51.100.1", "ip -6 route add default via 2001:db8:a::1",
		"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth1.rp_filter=1 net.ipv4.conf.lan0.rp_filter=1 net.netfilter.nf_conntrack_tcp_be_liberal=1"}
	for i := range prefixes {
		for f, vip := range vips(i) {
			command, to := []string{"iptables", "ip6tables"}[f], []string{"198.18.0.100", "2001:db8:f::100"}[f]
			for _, proto := range []string{"tcp", "udp"} {
				lines = append(lines, fmt.Sprintf("%s -w -t nat -A PREROUTING -d %s -p %s --dport 8080 -j DNAT --to-destination %s", command, vip, proto, to))
			}
		}
	}
	shell(g.host, lines...)
	for _, folder := range []string{"run/replypath", "keepalived", "conntrackd", "replypath"} {
		if err := os.MkdirAll(filepath.Join(g.dir, folder), 0o755); err != nil {
			g.network.t.Fatal(err)
		}
	}
	text, err := os.ReadFile(box.Binary)
	if err != nil {
		g.network.t.Fatal(err)
	}
	world.WriteProgram(g.network.t, filepath.Join(g.dir, program), text, 0o755)
	g.install("keepalived.conf", "keepalived", 0o644, "/usr/bin/replypath", program)
	g.install("notify.sh", "keepalived", 0o755)
	g.install("conntrackd.conf", "conntrackd", 0o644)
	g.install("replypath.toml", "replypath", 0o600)
	g.write("replypath/token", strings.Repeat("0123456789abcdef", 2), 0o600)
}

// install copies a file of etc/pair to the node, changed as its comments say, and with these replacements.
func (g *node) install(name, folder string, mode os.FileMode, replace ...string) {
	g.network.t.Helper()
	text, err := os.ReadFile(filepath.Join("../../etc/pair", name))
	if err != nil {
		g.network.t.Fatal(err)
	}
	if g.number == 2 {
		replace = append(replace, "router_id node1", "router_id node2", "priority 150", "priority 100", "IPv4_address 198.19.0.1\n        IPv4_Destination_Address 198.19.0.2",
			"IPv4_address 198.19.0.2\n        IPv4_Destination_Address 198.19.0.1", "http://198.19.0.2", "http://198.19.0.1", `"198.19.0.1:9717"`, `"198.19.0.2:9717"`)
	}
	g.write(filepath.Join(folder, name), strings.NewReplacer(replace...).Replace(string(text)), mode)
}

func (g *node) write(path, text string, mode os.FileMode) {
	g.network.t.Helper()
	world.WriteProgram(g.network.t, filepath.Join(g.dir, path), []byte(text), mode)
}

// command prepares a program in the node's mount namespace.
func (g *node) command(name string, args ...string) *world.Command {
	script := "mount --make-rprivate /\nmount --bind " + g.dir + "/run /run\n"
	for _, folder := range []string{"keepalived", "conntrackd", "replypath"} {
		script += "mkdir -p /etc/" + folder + "\nmount --bind " + g.dir + "/" + folder + " /etc/" + folder + "\n"
	}
	return g.host.Command(context.Background(), "unshare", append([]string{"-m", "sh", "-ec", script + `exec "$@"`, "sh", name}, args...)...)
}

// start starts a program that runs on, whose output is logged when the test fails.
func (g *node) start(t *testing.T, name string, args ...string) *world.Command {
	t.Helper()
	log, err := os.Create(filepath.Join(g.dir, filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	c := g.command(name, args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s of %s: %s", name, g.host.Name, text[max(0, len(text)-4000):])
		}
	})
	return c
}

// replypath runs the program with these arguments, and returns its output and exit status.
func (g *node) replypath(args ...string) (string, int) {
	c := g.command(program, args...)
	out, _ := c.CombinedOutput()
	return string(out), c.ProcessState.ExitCode()
}

// startKeepalived starts keepalived, which logs to its standard output.
func (g *node) startKeepalived(t *testing.T) {
	t.Helper()
	_ = os.Remove(filepath.Join(g.dir, "run/keepalived.pid"))
	g.keepalived = g.start(t, "keepalived", "-n", "-l", "-D", "-f", "/etc/keepalived/keepalived.conf")
}

// awaitVRRPEnded waits until the process of keepalived that speaks VRRP has ended: the kernel tells it that its parent was killed, and another
// keepalived does not start while it is there.
func (g *node) awaitVRRPEnded(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "run/vrrp.pid"))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join("/proc", strings.TrimSpace(string(text)), "exe")
	box.Eventually(t, box.EventualTimeout, "keepalived's process for VRRP has ended", func() bool {
		_, err := os.Readlink(program)
		return err != nil
	})
}

// inCharge reports whether the node has the VIPs.
func (g *node) inCharge() bool {
	return strings.Contains(g.host.Run("ip", "-br", "addr", "show", "eth1"), "192.0.2.2/24")
}

// await waits until the node is in charge, or no longer, and returns how long that took.
func (g *node) await(t *testing.T, inCharge bool) time.Duration {
	t.Helper()
	return box.Eventually(t, box.EventualTimeout, fmt.Sprintf("%s is in charge: %t", g.host.Name, inCharge), func() bool { return g.inCharge() == inCharge })
}

// startPair starts all programs on both nodes, and waits until the first node is in charge and its uplinks are up.
func (n *network) startPair(t *testing.T) {
	t.Helper()
	for _, g := range n.nodes {
		g.start(t, program, "run", "--config", "/etc/replypath/replypath.toml")
		g.start(t, "conntrackd", "-C", "/etc/conntrackd/conntrackd.conf")
	}
	for _, g := range n.nodes {
		box.Eventually(t, box.EventualTimeout, g.host.Name+" is ready", func() bool {
			_, status := g.replypath("status", "--quiet", "--uplink", "lte")
			_, err := os.Stat(filepath.Join(g.dir, "run/conntrackd.ctl"))
			return status == 0 && err == nil
		})
	}
	n.nodes[0].startKeepalived(t)
	n.nodes[0].await(t, true) // or both take charge where a busy machine delays the first advertisement
	n.nodes[1].startKeepalived(t)
	n.nodes[1].await(t, false)
}
