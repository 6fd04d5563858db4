package world

import (
	"os"
	"strings"
)

// Sysctl reads one of the host's network sysctls, "net.ipv4.ip_forward". A key may be written with slashes, for
// links that have a dot in their name.
func (h *Host) Sysctl(key string) string {
	h.world.tb.Helper()
	var value []byte
	var err error
	h.Do(func() { value, err = os.ReadFile(sysctlPath(key)) })
	h.must(err, "sysctl %s", key)
	return strings.TrimSpace(string(value))
}

// SetSysctl writes one of the host's network sysctls.
func (h *Host) SetSysctl(key, value string) {
	h.world.tb.Helper()
	h.setSysctls(setting{key, value})
}

// Forward makes the host a router in both families.
func (h *Host) Forward() {
	h.world.tb.Helper()
	h.setSysctls(setting{"net.ipv4.ip_forward", "1"}, setting{"net.ipv6.conf.all.forwarding", "1"})
}

type setting struct{ key, value string }

func (h *Host) setSysctls(settings ...setting) {
	h.world.tb.Helper()
	h.Do(func() {
		for _, s := range settings {
			h.must(os.WriteFile(sysctlPath(s.key), []byte(s.value), 0), "sysctl %s=%s", s.key, s.value)
		}
	})
}

// disableNoise gives a new host the same settings wherever the test runs (IPv4 ones are inherited from the machine), and
// takes away what makes packets or silence by chance: duplicate address detection, router solicitations, and the
// limits on ICMP errors.
func (h *Host) disableNoise() {
	h.world.tb.Helper()
	h.setSysctls(
		setting{"net.ipv4.ip_forward", "0"},
		setting{"net.ipv4.conf.all.rp_filter", "0"},
		setting{"net.ipv4.conf.default.rp_filter", "0"},
		setting{"net.ipv4.conf.all.src_valid_mark", "0"},
		setting{"net.ipv4.conf.default.src_valid_mark", "0"},
		setting{"net.ipv4.conf.all.arp_ignore", "0"},
		setting{"net.ipv4.conf.default.arp_ignore", "0"},
		setting{"net.ipv4.icmp_ratemask", "0"},
		setting{"net.ipv6.icmp.ratelimit", "0"},
		setting{"net.ipv6.conf.all.disable_ipv6", "0"},
		setting{"net.ipv6.conf.default.disable_ipv6", "0"},
		setting{"net.ipv6.conf.all.accept_dad", "0"},
		setting{"net.ipv6.conf.default.accept_dad", "0"},
		setting{"net.ipv6.conf.default.router_solicitations", "0"},
	)
}

func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}
