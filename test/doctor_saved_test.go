package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// The file that nft writes today is the one that is warned of: loaded again it takes replies off their path.
func TestDoctorWarnsOfARulesetSavedByNFT(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backends[0])
	b.serveGatewayAndLAN()
	b.apply()
	p := b.recordEgress()
	healthy := b.runDoctor()
	saved := b.Gateway.Run("nft", "list", "ruleset")
	b.writeRootFile("/etc/nftables.conf", "flush ruleset\n"+saved)
	d := b.runDoctor()
	b.wantFinding(d, isWarning, "saved-ruleset", "/etc/nftables.conf", "REPLYPATH-", "ct mark set ct mark", fileRemedies["saved-ruleset warning"])
	b.wantNewFindings(healthy, d, "saved-ruleset")
	b.Gateway.Run("nft", "-f", filepath.Join(b.root(), "/etc/nftables.conf"))
	if len(b.brokenReplies(p, true)) == 0 {
		t.Error("it was loaded, and all replies are right")
	}
	b.must(3, "plan")
	b.apply()
	if wrong := b.brokenReplies(p, false); len(wrong) > 0 {
		t.Errorf("after apply: %s", wrong)
	}
	// The remedy: without the tables of iptables.
	var rest strings.Builder
	for table := range strings.SplitAfterSeq(saved, "\n}\n") {
		if name, _, _ := strings.Cut(table, " {"); name != "table ip mangle" && name != "table ip6 mangle" {
			rest.WriteString(table)
		}
	}
	b.writeRootFile("/etc/nftables.conf", "flush ruleset\n"+rest.String())
	b.wantNewFindings(healthy, b.runDoctor(), "rp-filter-refused")
}

// What iptables saves brings ours back as they were then, until the remedy is followed.
func TestDoctorNotesARulesetSavedByIptables(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backend)
		legacyTable(b.Gateway)
		b.apply()
		healthy := b.runDoctor()
		save := func() {
			b.writeRootFile("/etc/iptables/rules.v4", b.Gateway.Run(b.iptablesName(4)+"-save"))
			b.writeRootFile("/etc/iptables/rules.v6", b.Gateway.Run(b.iptablesName(6)+"-save"))
		}
		save()
		text, err := os.ReadFile(filepath.Join(b.root(), "/etc/iptables/rules.v6"))
		if err != nil || !strings.Contains(string(text), "REPLYPATH-PRE") {
			t.Fatalf("nothing of ours was saved: %v\n%s", err, text)
		}
		d := b.runDoctor()
		for _, f := range b.wantNewFindings(healthy, d, "saved-ruleset", "saved-ruleset") {
			findingCase{severity: isNote, words: []string{"/etc/iptables/rules.v", "when it is loaded"}, evidence: []string{"REPLYPATH-PRE"},
				remedy: fileRemedies["saved-ruleset note"]}.check(t, f)
		}
		b.must(0, "flush")
		save()
		b.apply()
		b.wantNewFindings(healthy, b.runDoctor())
	})
}
