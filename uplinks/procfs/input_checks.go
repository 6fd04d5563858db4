package procfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// ReadInputChecks fills in the effective sysctls by which the kernel checks incoming packets. A missing file reads as 0: the
// kernel lacks the feature.
func ReadInputChecks(d *rpdb.Database) {
	if d.Family == uplinks.IPv6 {
		readForwarding6(d)
		return
	}
	for name, l := range d.Links {
		anySet := func(sysctl string) bool {
			return readInt("ipv4", "all", sysctl) != 0 || readInt("ipv4", name, sysctl) != 0
		}
		l.Checks = rpdb.InputChecks{
			Forwarding:    readInt("ipv4", name, "forwarding") != 0,
			RPFilter:      max(readInt("ipv4", "all", "rp_filter"), readInt("ipv4", name, "rp_filter")),
			SrcValidMark:  anySet("src_valid_mark"),
			AcceptLocal:   anySet("accept_local"),
			RouteLocalnet: anySet("route_localnet"),
			SendRedirects: anySet("send_redirects"),
			Addressed:     l.Checks.Addressed,
		}
		d.Links[name] = l
	}
}

// readForwarding6 fills in whether IPv6 packets are forwarded.
func readForwarding6(d *rpdb.Database) {
	d.Forwarding = readInt("ipv6", "all", "forwarding") != 0
	for name, l := range d.Links {
		l.Checks.Forwarding = d.Forwarding || readInt("ipv6", name, "force_forwarding") != 0
		d.Links[name] = l
	}
}

// readInt returns the sysctl of a link, or of "all", and 0 when it cannot be read.
func readInt(family, link, sysctl string) int {
	text, err := os.ReadFile(filepath.Join(sysctlDir, "net", family, "conf", link, sysctl))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
