package service

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// namedLinks is a host whose first uplink is configured by an alternative name of its link, and the second one by a pattern.
type namedLinks struct {
	*box.Box
	first, second *world.Uplink
	events        string // what a program of on_change has got
}

const (
	altName = "provider-on-the-first-floor" // longer than a name can be
	pattern = "wwan*"
)

func newNamedLinks(t *testing.T, backend string) *namedLinks {
	t.Helper()
	in := world.ISPs(t, 2)
	n := &namedLinks{Box: box.New(t, in, backend), first: in.Uplinks[0], second: in.Uplinks[1]}
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	n.events = filepath.Join(dir, "events")
	world.WriteProgram(t, program, []byte("#!/bin/sh\nread -r event\necho \"$REPLYPATH_EVENT $REPLYPATH_UPLINK $REPLYPATH_INTERFACE $REPLYPATH_TO $event\" >>"+n.events+"\n"), 0o755)
	text := fmt.Sprintf("%s\non_change = [%q]\n", backend, program)
	for i, link := range []string{altName, pattern} {
		u := in.Uplinks[i]
		text += fmt.Sprintf("[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", i, i+1, link, u.Router4, u.RouterLL)
	}
	n.Write(text)
	box.ServeAll(n.Gateway)
	return n
}

// recreate replaces the link of the second uplink by one with that name.
func (n *namedLinks) recreate(name string) {
	n.T.Helper()
	u := n.second
	u.Link.Delete()
	u.Link, u.Wire = n.Join(n.Gateway, name, u.ISP, "port0")
	u.Side = u.Wire
	u.Wire.LinkLocal("fe80::1")
	u.Wire.Addr(u.Router4.String()+"/24", u.Router6.String()+"/64")
	u.Link.LinkLocal("fe80::2")
	u.Link.Addr(u.Addr4.String()+"/24", u.Addr6.String()+"/64")
}

// wantReplies waits until the kernel is as configured and the second uplink has the link, and wants replies by both uplinks.
func (n *namedLinks) wantReplies(t *testing.T, link string) {
	t.Helper()
	for _, family := range []int{4, 6} {
		n.AwaitRuleText(t, family, "iif "+link+" ", true)
		n.AwaitRuleText(t, family, "iif eth0 ", true)
	}
	box.Eventually(t, box.EventualTimeout, "the kernel is as configured", func() bool { return n.Run("plan").Status == 0 })
	for _, u := range n.Uplinks {
		for _, to := range u.Addrs() {
			box.WantReplies(t, n.Client, to, []world.Kind{world.KindPing, world.KindTCP, world.KindUDP})
		}
	}
}

// awaitEvent waits until a program of on_change has got that the uplink is in the state on the link, in both families.
func (n *namedLinks) awaitEvent(t *testing.T, uplink, link string, state health.State) {
	t.Helper()
	start := fmt.Sprintf("state %s %s %s {", uplink, link, state)
	box.Eventually(t, box.EventualTimeout, "a program gets "+start, func() bool {
		text, _ := os.ReadFile(n.events)
		families := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			document, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), start[:len(start)-1])
			var e health.Event
			if !is || json.Unmarshal([]byte(document), &e) != nil { // or the line is being written
				continue
			}
			if e.Interface != link {
				t.Fatalf("the event has another interface than the environment: %s", line)
			}
			families[e.Family] = true
		}
		return len(families) == 2
	})
}

func TestServiceFollowsNamesOfLinks(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		n := newNamedLinks(t, backend)
		n.Start()
		n.Gateway.Run("ip", "link", "property", "add", "dev", "eth0", "altname", altName)
		n.recreate("wwan0")
		n.wantReplies(t, "wwan0")
		n.awaitEvent(t, "isp0", "eth0", health.Up)
		n.awaitEvent(t, "isp1", pattern, health.Absent)
		n.awaitEvent(t, "isp1", "wwan0", health.Up)
		n.recreate("wwan3")
		n.wantReplies(t, "wwan3")
		n.awaitEvent(t, "isp1", "wwan3", health.Up)
		n.Gateway.Run("ip", "link", "set", "wwan3", "down")
		n.Gateway.Run("ip", "link", "set", "wwan3", "name", "wwan7")
		n.Gateway.Run("ip", "link", "set", "wwan7", "up")
		n.second.Link = n.Gateway.Link("wwan7")
		n.second.Link.LinkLocal("fe80::2")
		n.second.Link.Addr(n.second.Addr6.String() + "/64")
		n.wantReplies(t, "wwan7")
		n.wantNames(t)
	})
}

// wantNames wants every command to know the links by the names that they have, and a second link that matches to change nothing.
func (n *namedLinks) wantNames(t *testing.T) {
	t.Helper()
	other, _ := n.Join(n.Gateway, "wwan1", n.Host("modem"), "port0")
	n.wantReplies(t, "wwan7")
	want := `uplink isp1: "wwan*" matches wwan7 and wwan1: wwan7 is used, it is the one that is ready`
	for _, command := range []string{"check", "plan"} {
		if out := n.Must(0, command); !strings.Contains(out.Stderr, want) {
			t.Errorf("%s: %s", command, out)
		}
	}
	n.Verify().WantOK(t, 2)
	for i, u := range n.ServiceStatus().Uplinks {
		if want := [][2]string{{"eth0", altName}, {"wwan7", pattern}}[i]; u.Interface != want[0] || u.Configured != want[1] {
			t.Errorf("status has the interface %q of %s, configured as %q, want %q", u.Interface, u.Name, u.Configured, want)
		}
	}
	other.Addr("198.19.9.2/24", "2001:db8:99::2/64")
	n.wantReplies(t, "wwan7") // of those that are as ready, the one that has existed the longest
	n.second.Link.Down()
	for _, family := range []int{4, 6} {
		n.AwaitRuleText(t, family, "iif wwan1 ", true)
	}
	n.second.Link.Up()
	n.second.Link.LinkLocal("fe80::2")
	n.second.Link.Addr(n.second.Addr6.String() + "/64")
	n.wantReplies(t, "wwan7")
	n.Must(0, "explain", "--listen", fmt.Sprintf(":%d/tcp", box.ServedPort))
	use := n.Gateway.Command(t.Context(), n.Program, "--config", n.Config, "use", "isp1", "--", "true")
	if out := n.RunCommand(use); out.Status != 0 || out.Stderr != "" {
		t.Error(out)
	}
}

// Without the service, apply puts the names in force that links have then.
func TestApplyUsesNamesOfLinks(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		n := newNamedLinks(t, backend)
		for _, command := range []string{"check", "apply"} {
			out := n.Must(0, command)
			for _, want := range []string{"there is no link " + altName + " yet", `no link matches "wwan*" yet`} {
				if !strings.Contains(out.Stderr, want) {
					t.Errorf("%s: want %s: %s", command, want, out)
				}
			}
		}
		n.Gateway.Run("ip", "link", "property", "add", "dev", "eth0", "altname", altName)
		n.recreate("wwan0")
		n.Must(0, "apply")
		n.wantReplies(t, "wwan0")
		if d := n.RunDoctor(); !d.Healthy() {
			t.Error(d)
		}
		n.Must(0, "flush")
	})
}
