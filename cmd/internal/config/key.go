package config

import (
	"fmt"
	"slices"
	"strings"
)

// key is a key of a table, with an example of its value.
type key struct{ name, example string }

type keys []key

var (
	topKeys = keys{
		{"mask", "0x1f00"},
		{"priority", "2000"},
		{"table_base", "8200"},
		{"link_group", "8200"},
		{"backend", `"auto"`},
		{"protect", "true"},
		{"accelerate", `["fibre", "lte", "lan0"], or true`},
		{"inside", `["lan0"]`},
		{"prove", `["tcp://lte:443", "udp://192.0.2.2:53"]`},
		{"on_change", `["/usr/local/sbin/notify"]`},
		{"endpoint", `{ listen = "127.0.0.1:9717" }, or as [endpoint]`},
		{"peer", `{ url = "https://198.51.100.12:9717" }, or as [peer]`},
		{"proof", `{ every = "30s" }, or as [proof]`},
		{"intercept", `{ web = { from = "lan0", ports = 80, proxy = 50080 } }, or as [intercept.web]`},
		{"udp", `{ answer = "asked" }, or as [udp]`},
		{"probes", `{ interval = "1s" }, or as [probes]`},
		{"outbound", `{ default = "fibre" }, or as [outbound]`},
		{"uplinks", `{ fibre = { id = 1, gateway = "auto" } }, or as [uplinks.fibre]`},
	}
	uplinkKeys = keys{
		{"id", "1"},
		{"interface", `"eth0"`},
		{"gateway", `"198.51.100.1", or ["198.51.100.1", "2001:db8::1"], or "auto"`},
		{"when_down", `"hold"`},
		{"vips", `["192.0.2.2", "2001:db8:b::2"]`},
		{"routers", `["192.0.2.12", "192.0.2.13"]`},
		{"mac", `["02:00:00:00:02:01"]`},
		{"quorum", "1"},
		{"prefixes", `["2001:db8:a::/48"]`},
		{"probes", `{ dns = { target = "icmp://203.0.113.9" } }, or as [uplinks.NAME.probes.dns]`},
	}
	probeKeys = slices.Concat(keys{
		{"target", `"icmp://203.0.113.9"`},
		{"status", "204, or [200, 299]"},
		{"body", `"ok"`},
	}, sharedProbeKeys)
	// The keys of [probes]: the defaults of all probes, and what applies where there is none.
	probeDefaultsKeys = slices.Concat(keys{{"otherwise", `"gateway"`}}, sharedProbeKeys)
	sharedProbeKeys   = keys{
		{"interval", `"1s"`},
		{"timeout", `"1s"`},
		{"retry", `"200ms"`},
		{"fall", "3"},
		{"rise", "5"},
		{"loss", "[20, 10]"},
		{"latency", `["300ms", "200ms"]`},
	}
	endpointKeys = keys{
		{"listen", `"127.0.0.1:9717"`},
		{"token_file", `"/etc/replypath/token"`},
		{"tls_cert", `"/etc/replypath/cert.pem"`},
		{"tls_key", `"/etc/replypath/key.pem"`},
	}
	peerKeys = keys{
		{"url", `"https://198.51.100.12:9717"`},
		{"token_file", `"/etc/replypath/peer-token"`},
		{"ca_file", `"/etc/replypath/peer.pem"`},
	}
	interceptionKeys = keys{{"bit", "0x10"}, {"return", "true"}}
	interceptKeys    = keys{
		{"from", `["lan0"]`},
		{"protocol", `"tcp"`},
		{"ports", `[80, "8000-8080"]`},
		{"sources", `["198.18.0.0/24"]`},
		{"to", `["!198.51.100.0/24"]`},
		{"proxy", "50080"},
		{"without", `"pass"`},
		{"check", `"http://127.0.0.1:50080/alive"`},
	}
	udpKeys = keys{
		{"answer", `"asked"`},
		{"entries", "65536"},
		{"cgroup", `"/sys/fs/cgroup"`},
	}
	proofKeys = keys{
		{"every", `"30s"`},
		{"source", `["203.0.113.77", "2001:db8:ffff::77"]`},
	}
)

func (ks keys) has(name string) bool {
	return slices.ContainsFunc(ks, func(k key) bool { return k.name == name })
}

func (ks keys) example(name string) string {
	return ks[slices.IndexFunc(ks, func(k key) bool { return k.name == name })].example
}

func (ks keys) String() string {
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// rejectUnknownKeys reports the keys of the table that are not among those known. The library's own check ignores case.
func (t table) rejectUnknownKeys(known keys) {
	for _, name := range t.keyNames() {
		if known.has(name) {
			continue
		}
		v, _ := t.valueAt(name)
		t.src.addMistake(v.keyRange(), fmt.Sprintf("unknown key %q", name), known.remedy(name, t))
	}
}

// remedy suggests the key that was probably meant.
func (ks keys) remedy(name string, t table) string {
	if near, ok := ks.nearest(name); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	valid := "valid keys are " + ks.String()
	switch {
	case t.parent == nil && t.src.name != "" && name == "uplinks":
		return "remove the table: in an uplink's own file its keys are at the top; " + valid
	case (t.parent != nil || t.src.name != "") && topKeys.has(name):
		return "move it to the top of the main file; " + valid
	case t.parent == nil && uplinkKeys.has(name):
		return "move it to a table [uplinks.NAME]; " + valid
	}
	for _, below := range []struct {
		keys  keys
		table string
	}{{sharedProbeKeys, "[probes] or [uplinks.NAME.probes.NAME]"}, {probeDefaultsKeys, "[probes]"}, {probeKeys, "[uplinks.NAME.probes.NAME]"}, {endpointKeys, "[endpoint]"}, {peerKeys, "[peer]"}, {proofKeys, "[proof]"}, {udpKeys, "[udp]"}, {interceptKeys, "[intercept.NAME]"}, {outboundKeys, "[outbound]"}, {policyKeys, "[outbound.policies.NAME]"}, {steeringKeys, "[outbound.rules.NAME]"}} {
		if below.keys.has(name) {
			return "move it to a table " + below.table + "; " + valid
		}
	}
	return valid
}

// nearest returns the key with the smallest edit distance from the name, ignoring case, and at most 2.
func (ks keys) nearest(name string) (near string, ok bool) {
	best := 3
	for _, k := range ks {
		d := editDistance(strings.ToLower(name), k.name)
		// A short key must keep half of its letters.
		if d < best && 2*d <= len(k.name) {
			best, near = d, k.name
		}
	}
	return near, near != ""
}

// editDistance returns the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
