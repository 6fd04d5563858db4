package apply

import (
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// With only the service's interface listed, main's own way to the client wins over the reply path: that cannot be put
// right unless the configuration has the other interface, so plan must warn.
func TestPlanWarnsOfAnUnlistedInterface(t *testing.T) {
	t.Parallel()
	for what, noDefault := range map[string]bool{"with a default route": false, "without default route": true} {
		t.Run(what, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1, NoDefault: noDefault}.Build(t, 2, world.Options{}))
			management, service := b.Uplinks[0], b.Uplinks[1]
			b.RouteToClientBy(management)
			b.Configure(service)
			warned(t, b, 3, true)
			b.Must(0, "apply")
			warned(t, b, 0, true)
			b.Settings = []string{`inside = ["eth0"]`}
			b.Configure(service)
			warned(t, b, 0, false)
			b.Settings = nil
			b.Configure(management, service)
			warned(t, b, 3, false)
			b.Apply()
			warned(t, b, 0, false)
		})
	}
}

// warned wants plan to end with the status, and to name eth0 and both remedies, or nothing.
func warned(t *testing.T, b *box.Box, status int, want bool) {
	t.Helper()
	r := b.Must(status, "plan")
	output := ""
	for line := range strings.Lines(r.Stdout + r.Stderr) {
		if strings.Contains(line, "warning:") {
			output += line
		}
	}
	if !want {
		if output != "" {
			t.Errorf("plan warns: %s", output)
		}
		return
	}
	for _, word := range []string{"eth0 is neither", "203.0.113.0/24", `[uplinks.NAME] with interface = "eth0"`, `inside = ["eth0"]`} {
		if !strings.Contains(output, word) {
			t.Errorf("plan's warning does not contain %q: %s", word, r)
		}
	}
}

// The warning is right: the client that main has a route to by the unlisted interface is not heard by the
// other, and is as soon as both are listed.
func TestUnlistedInterfaceBreaksRepliesAsWarned(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1, NoDefault: true}.Build(t, 2, world.Options{}))
	management, service := b.Uplinks[0], b.Uplinks[1]
	b.RouteToClientBy(management)
	b.Gateway.ServeTCP(box.ServedPort)
	b.Configure(service)
	b.Must(0, "apply")
	q := box.NewRequest(world.KindTCP, service.Addr4)
	q.Timeout = 300 * time.Millisecond
	if a := b.Client.Send(q); a.OK {
		t.Errorf("with one uplink listed: %v", a)
	}
	b.Configure(management, service)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
}
