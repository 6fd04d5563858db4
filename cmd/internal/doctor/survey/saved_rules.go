package survey

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/systemd"
	"replypath/marks"
)

// savedRuleFiles lists where distributions save firewall rules, and the units that load them at boot.
var savedRuleFiles = []struct {
	pattern string
	units   []string
	byNFT   bool // loaded by nft(8), otherwise by iptables-restore(8)
}{
	{"/etc/nftables.conf", []string{"nftables.service"}, true},
	{"/etc/sysconfig/nftables.conf", []string{"nftables.service"}, true},
	{"/etc/nftables/*", []string{"nftables.service"}, true},
	{"/etc/nftables.d/*", []string{"nftables.service"}, true},
	{"/etc/iptables/*rules*", []string{"netfilter-persistent.service", "iptables.service", "ip6tables.service"}, false},
	{"/etc/sysconfig/ip*tables", []string{"iptables.service", "ip6tables.service"}, false},
}

// readSavedRules returns the saved rulesets that have rules of replypath.
func (c *collector) readSavedRules() (all []doctor.SavedRuleset) {
	for _, s := range savedRuleFiles {
		paths, _ := filepath.Glob(filepath.Join(c.Root, s.pattern))
		for _, path := range paths {
			lines, native, err := linesOfOurs(path, s.byNFT)
			if err != nil {
				c.attempt(path, func() error { return err })
			}
			atBoot := slices.ContainsFunc(s.units, func(unit string) bool { return systemd.EnabledBy(c.Root, unit) != "" })
			saved := doctor.SavedRuleset{Path: systemd.RelativeTo(c.Root, path), AtBoot: atBoot}
			if len(lines) > 0 {
				saved.Lines, saved.ByNFT = lines, s.byNFT
				all = append(all, saved)
			}
			if len(native) > 0 {
				saved.Lines, saved.ByNFT, saved.Native = native, true, true
				all = append(all, saved)
			}
		}
	}
	return all
}

// linesOfOurs returns the lines of a ruleset, with their numbers, that name a chain of replypath. In a ruleset of nft(8)
// these include CONNMARK rules of iptables, which nft lists without their mask. native are the lines that begin
// marks.NFTTable or marks.BackupName, the content of which is left out.
func linesOfOurs(path string, byNFT bool) (lines, native []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	n, within := 0, false
	for line := range strings.Lines(string(text)) {
		n++
		if within = within && !strings.HasPrefix(line, "}"); within {
			continue
		}
		line = strings.TrimSpace(line)
		if within = byNFT && isTableOfOurs(line); within {
			native = append(native, fmt.Sprintf("%d: %s", n, line))
			continue
		}
		overwrites := strings.Contains(line, "ct mark set ct mark") || strings.HasSuffix(line, "meta mark set ct mark")
		if strings.HasPrefix(line, "#") || !strings.Contains(line, marks.Prefix) && !(byNFT && overwrites) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d: %s", n, line))
	}
	return lines, native, nil
}

// isTableOfOurs reports whether the line of a ruleset begins a table that no other program may change while the service protects it.
func isTableOfOurs(line string) bool {
	return strings.HasPrefix(line, "table inet "+marks.NFTTable+" {") || strings.HasPrefix(line, "table inet "+marks.BackupName+" {")
}
