package test

import (
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// With only the service's interface listed, main's own way to the client wins over the reply path: that cannot be put
// right without being told which side of the host the other interface is on, so it must be said.
func TestPlanWarnsOfAnUnlistedInterface(t *testing.T) {
	for what, noDefault := range map[string]bool{"with a default route": false, "without default route": true} {
		t.Run(what, func(t *testing.T) {
			b := newBox(t, conditions{1, noDefault}.build(t, 2, world.Options{}))
			management, service := b.Uplinks[0], b.Uplinks[1]
			b.knowClientBy(management)
			b.configure(service)
			b.warned(t, 3, true)
			b.must(0, "apply")
			b.warned(t, 0, true)
			b.settings = []string{`inside = ["eth0"]`}
			b.configure(service)
			b.warned(t, 0, false)
			b.settings = nil
			b.configure(management, service)
			b.warned(t, 3, false)
			b.apply()
			b.warned(t, 0, false)
		})
	}
}

// warned wants plan to end with the status, and to name eth0 and both remedies, or nothing.
func (b *box) warned(t *testing.T, status int, want bool) {
	t.Helper()
	r := b.must(status, "plan")
	output := ""
	for line := range strings.Lines(r.stdout + r.stderr) {
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

// What the warning says comes true: the client that main knows by the interface that is not listed is not heard by the
// other, and is as soon as both are listed.
func TestUnlistedInterfaceBreaksRepliesAsWarned(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1, noDefault: true}.build(t, 2, world.Options{}))
	management, service := b.Uplinks[0], b.Uplinks[1]
	b.knowClientBy(management)
	b.Gateway.ServeTCP(servedPort)
	b.configure(service)
	b.must(0, "apply")
	q := newRequest(world.KindTCP, service.Addr4)
	q.Timeout = 300 * time.Millisecond
	if a := b.Client.Send(q); a.OK {
		t.Errorf("with one uplink listed: %v", a)
	}
	b.configure(management, service)
	b.apply()
	b.recordEgress().wantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP})
}
