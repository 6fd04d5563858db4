package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The file that nft writes today is the one that is warned of: loaded again it takes replies off their path.
func TestDoctorWarnsOfARulesetSavedByNFT(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
	serveGatewayAndLAN(b)
	b.Apply()
	p := b.RecordEgress()
	healthy := b.RunDoctor()
	saved := b.Gateway.Run("nft", "list", "ruleset")
	b.WriteRootFile("/etc/nftables.conf", "flush ruleset\n"+saved)
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "saved-ruleset", "/etc/nftables.conf", "REPLYPATH-", "ct mark set ct mark", fileRemedies["saved-ruleset warning"])
	wantNewFindings(b, healthy, d, "saved-ruleset")
	b.Gateway.Run("nft", "-f", filepath.Join(b.Root(), "/etc/nftables.conf"))
	if len(brokenReplies(b, p, true)) == 0 {
		t.Error("it was loaded, and all replies are right")
	}
	b.Must(3, "plan")
	b.Apply()
	if wrong := brokenReplies(b, p, false); len(wrong) > 0 {
		t.Errorf("after apply: %s", wrong)
	}
	// The remedy: without the tables of iptables.
	var rest strings.Builder
	for table := range strings.SplitAfterSeq(saved, "\n}\n") {
		if name, _, _ := strings.Cut(table, " {"); name != "table ip mangle" && name != "table ip6 mangle" {
			rest.WriteString(table)
		}
	}
	b.WriteRootFile("/etc/nftables.conf", "flush ruleset\n"+rest.String())
	wantNewFindings(b, healthy, b.RunDoctor(), "rp-filter-refused")
}

// What iptables saves brings ours back as they were then, until the remedy is followed.
func TestDoctorNotesARulesetSavedByIptables(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		box.LegacyTable(b.Gateway)
		b.Apply()
		healthy := b.RunDoctor()
		save := func() {
			b.WriteRootFile("/etc/iptables/rules.v4", b.Gateway.Run(b.IptablesName(4)+"-save"))
			b.WriteRootFile("/etc/iptables/rules.v6", b.Gateway.Run(b.IptablesName(6)+"-save"))
		}
		save()
		text, err := os.ReadFile(filepath.Join(b.Root(), "/etc/iptables/rules.v6"))
		if err != nil || !strings.Contains(string(text), "REPLYPATH-PRE") {
			t.Fatalf("nothing of ours was saved: %v\n%s", err, text)
		}
		d := b.RunDoctor()
		for _, f := range wantNewFindings(b, healthy, d, "saved-ruleset", "saved-ruleset") {
			findingCase{severity: box.IsNote, words: []string{"/etc/iptables/rules.v", "when it is loaded"}, evidence: []string{"REPLYPATH-PRE"},
				remedy: fileRemedies["saved-ruleset note"]}.check(t, f)
		}
		b.Must(0, "flush")
		save()
		b.Apply()
		wantNewFindings(b, healthy, b.RunDoctor())
	})
}
