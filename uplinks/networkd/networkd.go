// Package networkd reads what systemd-networkd knows of DHCP leases, for links whose default route it was told not to
// install.
package networkd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"replypath/uplinks"
)

// LeasesDir is where systemd-networkd keeps a file for each lease, named by the link's index. It is the host's: the
// indices of another network namespace mean other links.
const LeasesDir = "/run/systemd/netif/leases"

// Read adds the gateways of leases to links that have no IPv4 default route of their own. A lease that cannot be read
// is none.
func Read(dir string, facts *uplinks.Facts) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	byIndex := map[int]uplinks.Link{}
	for _, l := range facts.Links {
		byIndex[l.Index] = l
	}
	for _, f := range files {
		index, err := strconv.Atoi(f.Name())
		l, exists := byIndex[index]
		if err != nil || !exists || hasIPv4Default(l) {
			continue
		}
		if router := leaseRouter(filepath.Join(dir, f.Name())); router.IsValid() {
			l.Defaults = append(l.Defaults, uplinks.NextHop{Family: uplinks.IPv4, Gateway: router, Dynamic: true})
			facts.Links[l.Name] = l
		}
	}
}

func hasIPv4Default(l uplinks.Link) bool {
	for _, hop := range l.Defaults {
		if hop.Family == uplinks.IPv4 {
			return true
		}
	}
	return false
}

// leaseRouter is the lease's first router (RFC 2132, option 3).
func leaseRouter(path string) netip.Addr {
	text, err := os.ReadFile(path)
	if err != nil {
		return netip.Addr{}
	}
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "ROUTER="); ok {
			first, _, _ := strings.Cut(strings.TrimSpace(list), " ")
			a, _ := netip.ParseAddr(first)
			return a
		}
	}
	return netip.Addr{}
}
