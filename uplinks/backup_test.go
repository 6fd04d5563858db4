package uplinks_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// The table that translates sources once more is there while a family is translated: made before the chains, replaced when an uplink
// gets another network, and deleted after the chains.
func TestSourcesAreTranslatedOnceMore(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	sync := func(s uplinks.Settings) []string {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(plan.String(), "\n")
	}
	at := func(plan []string, words ...string) int {
		return slices.IndexFunc(plan, func(line string) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
		})
	}
	s := outboundSettings()
	on := sync(s)
	made, chain := at(on, marks.BackupName, `ip-nat1 ct original ip saddr 198.51.100.0/24 return`), at(on, "iptables -w -t nat -N")
	if made < 0 || chain < made || at(on, marks.BackupName, "ip6-nat") >= 0 {
		t.Errorf("made at %d, the chain of NAT at %d of\n%s", made, chain, strings.Join(on, "\n"))
	}
	if again := sync(s); at(again, marks.BackupName) >= 0 {
		t.Errorf("in sync: %s", again)
	}
	s.Outbound.Masquerade = uplinks.MasqueradeBoth
	if both := sync(s); at(both, marks.BackupName, "ip6-nat1") < 0 {
		t.Errorf("both families: %s", both)
	}
	s.Outbound.Prefixes[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("2001:db8:b:200::/56")}
	if moved := sync(s); at(moved, marks.BackupName, "2001:db8:b:200::/56") < 0 {
		t.Errorf("another network: %s", moved)
	}
	s.Outbound.Masquerade = uplinks.MasqueradeOff
	off := sync(s)
	if deleted, chain := at(off, "nft '"+marks.NFTDeleteBackup+"'"), at(off, "iptables -w -t nat -X"); deleted < chain || chain < 0 {
		t.Errorf("deleted at %d, the chain of NAT at %d of\n%s", deleted, chain, strings.Join(off, "\n"))
	}
}

func TestTableThatTheKernelRefusesIsNotWanted(t *testing.T) {
	f := uplinkstest.Facts()
	f.BackupRefused = "no such file"
	if plan := uplinks.Diff(uplinks.Desired(outboundSettings(), f, nil), uplinks.NewState()).String(); strings.Contains(plan, marks.BackupName) {
		t.Errorf("plan: %s", plan)
	}
}
