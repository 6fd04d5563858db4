// Package networkd reads the DHCP leases of systemd-networkd, for links on which it is configured not to install the default
// route.
package networkd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"replypath/uplinks"
)

// LeasesDir is the directory of the lease files of systemd-networkd, named by the index of the link. It belongs to the
// initial network namespace: in another one the indexes mean other links.
const LeasesDir = "/run/systemd/netif/leases"

// Read adds the gateways of leases to links without an IPv4 default route. A lease that cannot be read is ignored.
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

// leaseRouter returns the first router of the lease (RFC 2132, option 3), or the zero Addr.
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
