//go:build modules

package reply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A kernel before 6.9, such as Debian's 6.1, refuses a table that outlives its owner. With protect = true the rules are then in a
// table without an owner, one line says so, and a flush is repaired.
func TestModulesProtectOnAnOlderKernel(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Nftables, "protect = true", `proof = { every = "off" }`)
	box.ServeAll(b.Gateway)
	const why = "the kernel cannot protect the table: it needs Linux 6.9"
	s := b.Start()
	b.AwaitInSync()
	if log := s.Log.String(); strings.Count(log, why) != 1 || strings.Contains(log, "level=ERROR") {
		t.Errorf("%s", log)
	}
	if text := b.Gateway.Run("nft", "list", "table", "inet", "replypath"); strings.Contains(text, "flags") {
		t.Errorf("%s", text)
	}
	p := b.RecordEgress()
	for _, to := range b.Uplinks[1].Addrs() {
		p.WantReplies(t, b.Client, b.Uplinks[1], to, world.Kinds)
	}
	b.Gateway.Run("nft", "flush", "ruleset")
	box.Eventually(t, box.EventualTimeout, "the flush is repaired", func() bool {
		return strings.Contains(b.Gateway.Run("nft", "list", "ruleset"), "chain ip6-pre")
	})
	b.AwaitInSync()
	for _, to := range b.Uplinks[1].Addrs() {
		p.WantReplies(t, b.Client, b.Uplinks[1], to, world.Kinds)
	}
	s.Stop()
	b.Must(0, "flush")
}
