package survey

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/systemd"
)

// readNetworkd reads whether systemd-networkd is in use, and its settings for foreign rules and routes (networkd.conf(5)).
func readNetworkd(root string) (n doctor.Networkd) {
	if entries, _ := os.ReadDir(filepath.Join(root, "/run/systemd/netif/links")); len(entries) > 0 {
		n.Active, n.Evidence = true, "it runs: /run/systemd/netif/links"
	} else if link := systemd.EnabledBy(root, "systemd-networkd.service"); link != "" {
		n.Active, n.Evidence = true, "it starts at boot: "+link
	}
	values := map[string]string{}
	for _, path := range systemd.ConfigFiles(root, "networkd.conf") {
		text, _ := os.ReadFile(filepath.Join(root, path))
		for line := range strings.Lines(string(text)) {
			key, value, assigns := strings.Cut(strings.TrimSpace(line), "=")
			if key = strings.TrimSpace(key); assigns && strings.HasPrefix(key, "ManageForeign") {
				values[key] = strings.ToLower(strings.TrimSpace(value))
				n.Lines = append(n.Lines, path+": "+strings.TrimSpace(line))
			}
		}
	}
	n.KeepsForeign = isFalse(values["ManageForeignRoutingPolicyRules"]) && isFalse(values["ManageForeignRoutes"])
	return n
}

// isFalse reports whether systemd reads the value as false (systemd.syntax(7)).
func isFalse(value string) bool {
	return slices.Contains([]string{"no", "false", "0", "off", "n", "f"}, value)
}
