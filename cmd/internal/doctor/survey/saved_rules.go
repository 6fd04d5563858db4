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
			lines, err := linesOfOurs(path, s.byNFT)
			if err != nil {
				c.attempt(path, func() error { return err })
			}
			if len(lines) > 0 {
				atBoot := slices.ContainsFunc(s.units, func(unit string) bool { return systemd.EnabledBy(c.Root, unit) != "" })
				all = append(all, doctor.SavedRuleset{Path: systemd.RelativeTo(c.Root, path), Lines: lines, AtBoot: atBoot, ByNFT: s.byNFT})
			}
		}
	}
	return all
}

// linesOfOurs returns the lines of a ruleset, with their numbers, that name a chain of replypath. In a ruleset of nft(8)
// these include CONNMARK rules of iptables, which nft lists without their mask.
func linesOfOurs(path string, byNFT bool) (lines []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		overwrites := strings.Contains(line, "ct mark set ct mark") || strings.HasSuffix(line, "meta mark set ct mark")
		if strings.HasPrefix(line, "#") || !strings.Contains(line, marks.Prefix) && !(byNFT && overwrites) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d: %s", n, line))
	}
	return lines, nil
}
