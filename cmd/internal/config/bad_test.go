package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "update the golden files in testdata")

var invalidFiles = []struct{ name, file string }{
	{"an id does not fit the mask", "bad-id-mask.toml"},
	{"an id is below 1", "bad-id-zero.toml"},
	{"an id is above 255 under a wide mask", "bad-id-wide-mask.toml"},
	{"an id is not checked against an invalid mask", "bad-id-unknown-mask.toml"},
	{"an uplink has no id and no gateway", "bad-id-missing.toml"},
	{"an uplink implied by a dotted key has no id", "bad-id-missing-dotted.toml"},
	{"an inline table has no id", "bad-id-missing-inline.toml"},
	{"an id is a string", "bad-id-type.toml"},
	{"two uplinks share an id and an interface", "bad-id-twice.toml"},
	{"routers of uplinks on one interface are invalid", "bad-routers.toml"},
	{"the mask has no id for a router that is found", "bad-routers-mask.toml"},
	{"the mask is empty", "bad-mask-empty.toml"},
	{"the mask has more than 32 bits", "bad-mask-wide.toml"},
	{"the mask has a gap", "bad-mask-gap.toml"},
	{"numbers are below or above their bounds", "bad-numbers.toml"},
	{"numbers are just above their upper bounds", "bad-numbers-high.toml"},
	{"the backend does not exist", "bad-backend.toml"},
	{"a backend of iptables is protected", "bad-protect.toml"},
	{"protection is no truth value", "bad-protect-type.toml"},
	{"every key at the top has a wrong type", "bad-types.toml"},
	{"every key of an uplink has a wrong type", "bad-types-uplink.toml"},
	{"names in inside are invalid", "bad-inside.toml"},
	{"interface names are invalid", "bad-interface.toml"},
	{"patterns of interfaces overlap", "bad-interface-pattern.toml"},
	{"uplink names are invalid", "bad-names.toml"},
	{"there are no uplinks", "bad-no-uplinks.toml"},
	{"the table of uplinks is empty", "bad-no-uplinks-table.toml"},
	{"the file is empty", "bad-empty.toml"},
	{"keys at the top are unknown", "bad-unknown.toml"},
	{"keys of an uplink are unknown", "bad-unknown-uplink.toml"},
	{"keys of inline tables are unknown", "bad-unknown-inline.toml"},
	{"parts of dotted keys are unknown", "bad-unknown-dotted.toml"},
	{"a key is set in upper and lower case", "bad-case-twice.toml"},
	{"gateways are not unicast addresses", "bad-gateway.toml"},
	{"there are too many gateways or none", "bad-gateway-twice.toml"},
	{"a gateway is on the interface of another uplink", "bad-gateway-zone.toml"},
	{"a gateway of one family says what another says", "bad-gateway-family.toml"},
	{"when_down is unknown", "bad-when-down.toml"},
	{"targets are invalid", "bad-probe-target.toml"},
	{"probes have no target or an invalid name", "bad-probe.toml"},
	{"the expected answer does not fit the target", "bad-probe-answer.toml"},
	{"durations and thresholds are invalid", "bad-timing.toml"},
	{"a quorum is out of range", "bad-quorum.toml"},
	{"otherwise is unknown", "bad-otherwise.toml"},
	{"services are invalid", "bad-prove.toml"},
	{"paths of programs are invalid", "bad-on-change.toml"},
	{"intercepts have mistakes", "bad-intercept.toml"},
	{"the bit of interception is in the mask", "bad-intercept-mask.toml"},
	{"interception is a string", "bad-intercept-types.toml"},
	{"every key of an intercept has a wrong type", "bad-intercept-bit.toml"},
	{"the endpoint has mistakes", "bad-endpoint.toml"},
	{"the endpoint has a key without a certificate", "bad-endpoint-key.toml"},
	{"the endpoint would listen at a multicast address", "bad-endpoint-multicast.toml"},
	{"the endpoint has no port", "bad-endpoint-port.toml"},
	{"the endpoint has an IPv4 address in IPv6 form", "bad-endpoint-mapped.toml"},
	{"every key of the endpoint has a wrong type", "bad-endpoint-types.toml"},
	{"VIPs are invalid", "bad-vips.toml"},
	{"the peer has mistakes", "bad-peer.toml"},
	{"the peer has a path", "bad-peer-url.toml"},
	{"the peer has a token and no URL", "bad-peer-alone.toml"},
	{"the peer has certificates and no TLS", "bad-peer-plain.toml"},
	{"UDP answers have mistakes", "bad-udp.toml"},
	{"UDP answers have keys and no answer", "bad-udp-alone.toml"},
	{"every key of UDP answers has a wrong type", "bad-udp-types.toml"},
	{"acceleration names the interface of an uplink, and what is no interface", "bad-accelerate.toml"},
	{"acceleration names no uplink", "bad-accelerate-inside.toml"},
	{"acceleration names one link", "bad-accelerate-one.toml"},
	{"acceleration asks for hardware", "bad-accelerate-hardware.toml"},
	{"acceleration is a number", "bad-accelerate-type.toml"},
	{"the proof has mistakes", "bad-proof.toml"},
	{"the proof has numbers without units", "bad-proof-number.toml"},
	{"every key of outbound has a mistake", "bad-outbound.toml"},
	{"outbound is not a table of tables", "bad-outbound-room.toml"},
	{"outbound has no room beside the mask and the priorities", "bad-outbound-mask.toml"},
	{"an uplink has prefixes without outbound", "bad-outbound-prefixes.toml"},
	{"a rule of IPv4 selects by a type of service that IPv4 does not compare", "bad-outbound-tos.toml"},
	{"keys about health have a wrong type or are in a wrong table", "bad-types-health.toml"},
	{"the file is not TOML", "bad-syntax.toml"},
	{"the file ends too early", "bad-syntax-end.toml"},
	{"a string has no quotes", "bad-syntax-word.toml"},
	{"a table is defined twice", "bad-syntax-twice.toml"},
	{"bytes are not UTF-8", "bad-utf8.toml"},
	{"the file is UTF-16", "bad-utf16.toml"},
	{"the file contains a NUL byte", "bad-nul.toml"},
	{"lines end in CR LF, after a byte order mark", "bad-crlf.toml"},
	{"a line contains tabs and multi-byte characters", "bad-tabs.toml"},
	{"a line is too long", "bad-long-line.toml"},
	{"the file has too many brackets", "bad-brackets.toml"},
	{"values span several lines", "bad-multiline.toml"},
	{"keys and values recur in comments and strings", "bad-comments.toml"},
	{"an uplink is in the main file and in uplinks.d", "bad-folder-twice/replypath.toml"},
	{"every file has mistakes, and two are not TOML", "bad-folder-all/replypath.toml"},
	{"uplinks of different files share an id or an interface", "bad-folder-share/replypath.toml"},
	{"several files have mistakes about health, and one is not TOML", "bad-folder-health/replypath.toml"},
	{"file names are invalid uplink names", "bad-folder-name/replypath.toml"},
}

func TestInvalidFilesAreReportedInFull(t *testing.T) {
	var files []string
	for _, test := range invalidFiles {
		files = append(files, filepath.Join("testdata", test.file))
		t.Run(test.name, func(t *testing.T) { checkGolden(t, filepath.Join("testdata", test.file)) })
	}
	for _, pattern := range []string{"testdata/bad-*.toml", "testdata/bad-*/replypath.toml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			if !slices.Contains(files, file) {
				t.Errorf("%s is in no test", file)
			}
		}
	}
}

// checkGolden compares the message for the file with the golden file beside it, often enough to notice a random order.
func checkGolden(t *testing.T, file string) {
	golden := strings.TrimSuffix(file, ".toml") + ".txt"
	for range 50 {
		_, err := readConfig(file)
		var mistakes Mistakes
		if !errors.As(err, &mistakes) {
			t.Fatalf("Read: %v, want Mistakes", err)
		}
		if *update {
			if err := os.WriteFile(golden, []byte(mistakes.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), mistakes.String()); diff != "" {
			t.Fatalf("message (-want +got):\n%s", diff)
		}
	}
}
