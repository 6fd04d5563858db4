package procfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// ReadChecks fills in the effective sysctls by which the kernel judges what comes in. A file that is not there reads as 0,
// as on a kernel that lacks what it would switch on.
func ReadChecks(d *rpdb.Database) {
	if d.Family == uplinks.IPv6 {
		readForwarding6(d)
		return
	}
	for name, l := range d.Links {
		either := func(sysctl string) bool {
			return number("ipv4", "all", sysctl) != 0 || number("ipv4", name, sysctl) != 0
		}
		l.Check = rpdb.Check{
			Forwarding:    number("ipv4", name, "forwarding") != 0,
			RPFilter:      max(number("ipv4", "all", "rp_filter"), number("ipv4", name, "rp_filter")),
			SrcValidMark:  either("src_valid_mark"),
			AcceptLocal:   either("accept_local"),
			RouteLocalnet: either("route_localnet"),
			SendRedirects: either("send_redirects"),
			Addressed:     l.Check.Addressed,
		}
		d.Links[name] = l
	}
}

func readForwarding6(d *rpdb.Database) {
	d.Forwarding = number("ipv6", "all", "forwarding") != 0
	for name, l := range d.Links {
		l.Check.Forwarding = d.Forwarding || number("ipv6", name, "force_forwarding") != 0
		d.Links[name] = l
	}
}

// number is a link's sysctl; "all" is a link to it.
func number(family, link, sysctl string) int {
	text, err := os.ReadFile(filepath.Join(sysctls, "net", family, "conf", link, sysctl))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
