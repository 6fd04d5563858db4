package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// defaultRoutedAddr is an address of each family to which only default routes lead.
var defaultRoutedAddr = map[int]string{4: "203.0.113.77", 6: "2001:db8:ffff::77"}

func TestExplainOutgoingPackets(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	for family, to := range defaultRoutedAddr {
		from := b.Uplinks[1].Addrs()[family/6]
		b.Explain(t, 0, []string{to}, "> 32766 kernel from all lookup main default", "kernel: agrees", "it leaves by eth0 (uplink isp0), selected by table main")
		b.Explain(t, 0, []string{to, "--from", from.String()}, "3002 replypath from "+from.String()+" goto 3400 goto 3400", "> 3402 replypath from "+from.String()+" lookup isp1 default via",
			"it leaves by eth1 (uplink isp1), selected by its source "+from.String())
		b.Explain(t, 0, []string{to, "--mark", "0x200"},
			"2000 replypath not from all fwmark 0x0/0x1f00 lookup main suppress_prefixlength "+[]string{"7", "6"}[family/6]+" suppress_ifgroup 8200 suppressed, prefix too short: default",
			"2001 replypath from all fwmark 0x0/0x1f00 goto 3000 no: mark 0x200", "selected by its mark 0x200")
		b.Explain(t, 0, []string{from.String()}, "it is delivered to this host: the address belongs to eth1")
		b.Explain(t, 0, []string{to, "--proto", "sctp", "--dport", "36412"}, "kernel: agrees", "ipproto sctp dport 36412")
	}
}

func TestExplainNamesForeignRules(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	for family, to := range defaultRoutedAddr {
		ip := fmt.Sprintf("-%d", family)
		b.Gateway.Run("ip", ip, "rule", "add", "priority", "5270", "lookup", "52")
		b.Gateway.Run("ip", ip, "rule", "add", "priority", "9000", "not", "fwmark", "0xca6c", "lookup", "51820")
		b.Gateway.Run("ip", ip, "rule", "add", "priority", "9001", "ipproto", "tcp", "dport", "443", "blackhole")
		b.Explain(t, 0, []string{to}, "5270 Tailscale from all lookup 52 no route", "9000 wg-quick not from all fwmark 0xca6c/0xffffffff lookup 51820 no route",
			"9001 unknown from all ipproto tcp dport 443 blackhole no: udp")
		b.Explain(t, 3, []string{to, "--proto", "tcp", "--dport", "443"}, "> 9001 unknown", "refused", "kernel: agrees: invalid argument", "by rule 9001 of an unknown owner")
		b.Explain(t, 0, []string{to, "--proto", "sctp", "--dport", "443"}, "kernel: not queried: it supports look-ups for tcp, udp and icmp only")
		b.Explain(t, 0, []string{to}, "no source chosen yet")
		b.Gateway.Run("ip", ip, "route", "add", "unreachable", to, "table", "52")
		b.Explain(t, 3, []string{to}, "it is rejected: no route to host, by a route of table 52, rule 5270 of Tailscale")
	}
}

func TestExplainAppliesRPFilter(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	own := b.Uplinks[1].Addrs()[0].String()
	in := []string{own, "--in", "eth1", "--from", defaultRoutedAddr[4], "--proto", "tcp", "--dport", "22"}
	b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "0")
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.rp_filter", "1")
	b.Explain(t, 3, in, "source check: reverse look-up of "+defaultRoutedAddr[4]+" from "+own, "kernel: agrees: invalid argument",
		"it would be dropped by the source check: net.ipv4.conf.eth1.rp_filter=1 (effective), and the route back to "+defaultRoutedAddr[4]+" is by eth0")
	b.Apply()
	b.Explain(t, 0, append(in, "--mark", "0x200"), "source check: passed (rp_filter=1, effective)", "it is delivered to this host")
	b.Explain(t, 3, []string{own, "--in", "eth1", "--from", own}, "by the source check: "+own+" is an address of this host itself")
	b.Explain(t, 3, []string{own, "--in", "eth1", "--from", "224.0.0.9"}, "as a martian")
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.forwarding", "0")
	b.Explain(t, 3, []string{"203.0.113.9", "--in", "eth1", "--from", b.Uplinks[1].Router4.String()}, "net.ipv4.conf.eth1.forwarding=0")
}

func TestExplainJSON(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	var got struct {
		Version int
		Arrives bool
		Link    string
		Uplink  string
		Route   struct{ Table int }
		Kernel  struct{ Asked, Agrees bool }
		Steps   []struct {
			Priority       int
			Owner, Outcome string
		}
	}
	if err := json.Unmarshal([]byte(b.Must(0, "explain", "--json", defaultRoutedAddr[6], "--mark", "0x200").Stdout), &got); err != nil {
		t.Fatal(err)
	}
	decided := got.Steps[len(got.Steps)-1]
	if got.Version != 1 || !got.Arrives || !got.Kernel.Agrees || got.Uplink != "isp1" || got.Link != "eth1" || got.Route.Table != 8202 ||
		decided.Priority != 2003 || decided.Owner != "replypath" || decided.Outcome != "decided" {
		t.Errorf("got %+v", got)
	}
}

func TestExplainRefusesImpossiblePackets(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	for _, args := range [][]string{
		{}, {"203.0.113.9", "203.0.113.10"}, {"example"}, {"203.0.113.9", "--mark", "red"}, {"203.0.113.9", "--in", "eth0"},
		{"203.0.113.9", "--in", "eth9", "--from", "203.0.113.1"}, {"203.0.113.9", "--from", "2001:db8::1"}, {"203.0.113.9", "--proto", "icmp", "--dport", "7"},
		{"203.0.113.9", "--tos", "3"}, {"203.0.113.9", "--proto", "0"}, {"203.0.113.9", "--dport", "70000"},
	} {
		b.Explain(t, 2, args)
	}
}

func TestExplainNeedsNoPrivilegeAndNoConfiguration(t *testing.T) {
	w := world.TwoISPs(t)
	cmd := w.Gateway.Command(t.Context(), box.Binary, "explain", defaultRoutedAddr[4], "--config", "/nonexistent/replypath.toml")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "kernel: agrees") || !strings.Contains(out.String(), "it leaves by eth0, selected by table main") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
