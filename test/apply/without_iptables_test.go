package apply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A host without the commands iptables and nft, and so without any other program, is served by the kernel's nftables.
func TestHostWithoutIptables(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), `backend = "auto"`)
	before := box.TakeSnapshot(b.Gateway)
	run := b.WithCommandsIn(box.CommandFolder(t))
	must := func(status int, args ...string) string {
		t.Helper()
		r := run(args...)
		if r.Status != status {
			t.Fatalf("%s: want exit %d, got %s", strings.Join(args, " "), status, r)
		}
		return r.Stdout
	}
	if plan := must(3, "plan"); !strings.Contains(plan, "nft 'add rule inet replypath ip-pre ") || strings.Contains(plan, "iptables") {
		t.Errorf("plan: %s", plan)
	}
	box.ServeAll(b.Gateway)
	must(0, "apply")
	p := b.RecordEgress()
	p.WantRepliesFromAll(t, b.Client, world.Kinds)
	if plan := must(0, "plan"); plan != "" {
		t.Errorf("plan after apply: %s", plan)
	}
	must(0, "verify")
	if text := run("doctor").Stdout; strings.Contains(text, "iptables") {
		t.Errorf("doctor: %s", text)
	}
	// With iptables at hand again, auto keeps what is there.
	if r := b.Must(0, "plan"); r.Stdout != "" {
		t.Errorf("plan with iptables: %s", r)
	}
	must(0, "flush")
	before.WantSame(t, "flush", b.Gateway)
}
