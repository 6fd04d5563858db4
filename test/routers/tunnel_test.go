package routers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// tunnelKinds make the second uplink's link, which has no hardware addresses.
var tunnelKinds = map[string]func(*world.Internet, *world.Uplink){
	"tun": func(in *world.Internet, u *world.Uplink) {
		u.Link, u.Side = in.JoinTun(in.Gateway, "tun1", u.ISP, "tun0")
	},
}

// tunnelConfig returns a configuration with one or two uplinks on the link of the second one.
func tunnelConfig(b *box.Box, any string, second bool) string {
	first, u := b.Uplinks[0], b.Uplinks[1]
	text := strings.Join(b.Settings, "\n") + fmt.Sprintf("\n[uplinks.isp0]\nid = 1\ninterface = \"eth0\"\ngateway = [%q, %q]\n", first.Router4, first.RouterLL) +
		fmt.Sprintf("[uplinks.isp1]\nid = 2\ninterface = %q\ngateway = \"auto\"\n%s\n", u.Link.Name, any)
	if second {
		text += fmt.Sprintf("[uplinks.second]\nid = 3\ninterface = %q\ngateway = [\"192.0.2.9\", \"fe80::9\"]\n", u.Link.Name)
	}
	return text
}

// Uplinks on a link without hardware addresses cannot be distinguished. All commands say so and what to do, leave out all but the first, and
// end with status 3; the replies of the others stay right.
func TestUplinksOnATunnelAreRefused(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, kind := range tunnelKinds {
			t.Run(name, func(t *testing.T) { refuseTunnel(t, backend, kind) })
		}
	})
}

func refuseTunnel(t *testing.T, backend string, kind func(*world.Internet, *world.Uplink)) {
	in := world.ISPs(t, 2, world.Options{ReplaceLink: map[int]func(*world.Internet, *world.Uplink){1: kind}})
	in.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	b := box.New(t, in, backend)
	link := b.Uplinks[1].Link.Name
	box.ServeAll(b.Gateway)
	reason := fmt.Sprintf("uplink second: IPv4 is left out: %s has no hardware addresses, by which its router could be distinguished from that of isp1", link)
	wantReplies := func() {
		t.Helper()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				box.WantReplies(t, b.Client, to, kinds)
			}
		}
	}
	b.Write(tunnelConfig(b, "", true))
	for _, command := range []string{"check", "apply"} {
		if r := b.Must(3, command); !strings.Contains(r.Stderr, reason+": give second an interface of its own") || !strings.Contains(r.Stderr, "uplink second: IPv6") {
			t.Errorf("%s: %s", command, r)
		}
		var report struct {
			LeftOut []struct{ Uplink, Family, Reason string } `json:"left_out"`
		}
		r := b.Must(3, command, "--json")
		if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil || len(report.LeftOut) != 2 || report.LeftOut[0].Uplink != "second" || !strings.Contains(r.Stdout, `"warnings"`) {
			t.Errorf("%s --json: %v: %s", command, err, r)
		}
	}
	if r := b.Must(0, "plan"); r.Stdout != "" {
		t.Errorf("plan after apply: %s", r)
	}
	wantReplies()
	b.Start()
	b.AwaitInSync()
	for _, u := range b.ServiceStatus().Uplinks {
		for _, f := range u.Families {
			if left := strings.HasPrefix(f.LeftOut, link+" has no hardware addresses"); left != (u.Name == "second") {
				t.Errorf("status of %s %s: left out: %q", u.Name, f.Family, f.LeftOut)
			}
		}
	}
	b.Must(3, "reload")
	wantReplies()
	b.Write(tunnelConfig(b, `routers = "any"`, false))
	if r := b.Must(0, "check"); !strings.Contains(r.Stderr, `uplink isp1: routers = "any" finds no router: `+link+" has no hardware addresses") {
		t.Errorf("check with any: %s", r)
	}
	b.Must(0, "reload")
	wantReplies()
	b.Write(tunnelConfig(b, "", false))
	if r := b.Must(0, "check"); strings.Contains(r.Stderr, "hardware") {
		t.Errorf("check: %s", r)
	}
}
