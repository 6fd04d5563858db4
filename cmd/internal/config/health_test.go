package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"replypath/health"
)

// readHealth reads the files and returns the settings about health.
func readHealth(t *testing.T, files map[string]string) (health.Settings, health.EndpointSettings) {
	t.Helper()
	c, err := readConfig(writeFiles(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c.Health, c.Endpoint
}

// healthFiles set every key about health.
var healthFiles = map[string]string{
	"replypath.toml": `
prove = ["tcp://192.0.2.2:8080", "udp://lte:053", "tcp://:443", "udp://[2001:DB8::0]:53"]
on_change = ["/usr/local/sbin/notify", "/opt/a b"]
endpoint = { listen = "[::1]:80", token_file = "/t", tls_cert = "/c", tls_key = "/k" }
proof = { every = "1m30s", source = ["2001:db8:ffff::77", "203.0.113.77"] }
probes = { interval = "2s", timeout = "500ms", retry = "0.3s", fall = 2, rise = 1, loss = "off", latency = ["1s", "900ms"] }
[uplinks.a]
id = 3
gateway = "auto"
quorum = 2
[uplinks.a.probes.z]
target = "gateway"
[uplinks.a.probes.x]
target = "icmp://Example.NET"
interval = "100ms"
timeout = "1m"
fall = 100
rise = 1000
loss = [100, 0]
latency = "off"
`,
	"uplinks.d/lte.toml": lte + `
probes.web = { target = "HTTP://Example.NET:080", status = 204, body = "ok" }
probes.v6 = { target = "https://[2001:DB8::0]:8443/a?b", status = [200, 204], interval = "1h", retry = "1h" }
probes.dns = { target = "tcp://[2001:DB8::0]:053" }
`}

func TestReadHealth(t *testing.T) {
	addr := netip.MustParseAddr
	got, endpoint := readHealth(t, healthFiles)
	usual := health.Probe{Interval: 2 * time.Second, Timeout: 500 * time.Millisecond, Retry: 300 * time.Millisecond, Fall: 2, Rise: 1,
		Latency: health.LatencyThresholds{High: time.Second, Low: 900 * time.Millisecond}}
	probe := func(name string, target health.Target, change func(*health.Probe)) health.Probe {
		p := usual
		p.Name, p.Target = name, target
		change(&p)
		return p
	}
	same := func(*health.Probe) {}
	want := health.Settings{
		Uplinks: []health.UplinkSettings{
			{Name: "lte", Quorum: 1, Probes: []health.Probe{
				probe("dns", health.Target{Kind: health.TCP, Host: "2001:db8::", Port: 53}, same),
				probe("v6", health.Target{Kind: health.HTTP, Host: "2001:db8::", URL: "https://[2001:db8::]:8443/a?b", Status: health.StatusCodes{First: 200, Last: 204}},
					func(p *health.Probe) { p.Interval, p.Retry = time.Hour, time.Hour }),
				probe("web", health.Target{Kind: health.HTTP, Host: "example.net", URL: "http://example.net/", Status: health.StatusCodes{First: 204, Last: 204}, Body: "ok"}, same),
			}},
			{Name: "a", Quorum: 2, Probes: []health.Probe{
				probe("x", health.Target{Kind: health.ICMP, Host: "example.net"}, func(p *health.Probe) {
					p.Interval, p.Timeout, p.Retry, p.Fall, p.Rise = 100*time.Millisecond, time.Minute, 100*time.Millisecond, 100, 1000
					p.Loss, p.Latency = health.LossThresholds{High: 100}, health.LatencyThresholds{}
				}),
				probe("z", health.Target{Kind: health.Gateway}, same),
			}},
		},
		ProofServices: []health.ProofService{
			{Proto: "tcp", Addr: addr("192.0.2.2"), Port: 8080}, {Proto: "udp", Uplink: "lte", Port: 53},
			{Proto: "tcp", Port: 443}, {Proto: "udp", Addr: addr("2001:db8::"), Port: 53},
		},
		Proof:    health.ProofSettings{Interval: 90 * time.Second, Source4: addr("203.0.113.77"), Source6: addr("2001:db8:ffff::77")},
		OnChange: []string{"/usr/local/sbin/notify", "/opt/a b"},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	wantEndpoint := health.EndpointSettings{Listen: netip.MustParseAddrPort("[::1]:80"), TokenFile: "/t", CertFile: "/c", KeyFile: "/k"}
	if diff := cmp.Diff(wantEndpoint, endpoint, byValue); diff != "" {
		t.Errorf("endpoint (-want +got):\n%s", diff)
	}
}

func TestReadHealthDefaults(t *testing.T) {
	got, endpoint := readHealth(t, map[string]string{"uplinks.d/lte.toml": lte + "probes.dns.target = 'icmp://203.0.113.9'\n"})
	want := health.Settings{Proof: health.DefaultProofSettings, Uplinks: []health.UplinkSettings{{Name: "lte", Quorum: 1, Probes: []health.Probe{
		health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "203.0.113.9"})}}}}
	if diff := cmp.Diff(want, got, byValue); diff != "" || endpoint != health.DefaultEndpointSettings {
		t.Errorf("health, %v (-want +got):\n%s", endpoint, diff)
	}
}

func TestReadOff(t *testing.T) {
	for _, every := range []string{`"off"`, `"0s"`} {
		got, endpoint := readHealth(t, map[string]string{"uplinks.d/lte.toml": lte, "replypath.toml": strings.ReplaceAll(`
prove = []
on_change = []
endpoint = { listen = "off", token_file = "", tls_cert = "", tls_key = "" }
proof = { every = EVERY, source = [] }
`, "EVERY", every)})
		if diff := cmp.Diff(health.Settings{Uplinks: []health.UplinkSettings{{Name: "lte", Quorum: 1}}}, got, byValue); diff != "" {
			t.Errorf("every = %s: health (-want +got):\n%s", every, diff)
		}
		if endpoint != (health.EndpointSettings{}) {
			t.Errorf("endpoint: %v, want none", endpoint)
		}
	}
}

func TestReadListenAddresses(t *testing.T) {
	for _, at := range []string{"127.0.0.9:1", "[::1]:65535", "0.0.0.0:80", "[::]:80", "192.0.2.2:443", "[fe80::1%eth0]:9717"} {
		_, endpoint := readHealth(t, map[string]string{"uplinks.d/lte.toml": lte, "replypath.toml": "endpoint.listen = '" + at + "'\n"})
		if endpoint.Listen.String() != at {
			t.Errorf("listen = %q is read as %s", at, endpoint.Listen)
		}
	}
}

// If a family has fewer probes than the quorum, all of them must be answered. That is not a mistake.
func TestQuorumMayExceedProbesOfOneFamily(t *testing.T) {
	got, _ := readHealth(t, map[string]string{"uplinks.d/lte.toml": lte +
		"quorum = 2\nprobes.a.target = 'icmp://203.0.113.9'\nprobes.b.target = 'icmp://[2001:db8::9]'\n"})
	if got.Uplinks[0].Quorum != 2 {
		t.Errorf("quorum %d, want 2", got.Uplinks[0].Quorum)
	}
}

func TestReadOtherwiseKey(t *testing.T) {
	for said, alone := range map[string]bool{"": false, "probes.otherwise = \"gateway\"\n": false, "probes.otherwise = \"off\"\n": true} {
		got, _ := readHealth(t, map[string]string{"replypath.toml": said, "uplinks.d/lte.toml": lte})
		if got.Uplinks[0].CarrierOnly != alone {
			t.Errorf("%q: %+v", said, got.Uplinks[0])
		}
	}
}
