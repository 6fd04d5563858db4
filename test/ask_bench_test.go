package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

// What must hold of 64 probes that ask five times per second. What those for pages take of a core is told without a bound:
// that of HTTP is about the bound, where a Go program that does no more than to connect, say a line and read one on loopback
// takes as much, and twice that with TLS that is resumed.
const (
	probesInBench = 64
	benchEvery    = 200 * time.Millisecond
	benchCPU      = 10 // percent of one core
	benchMemory   = 40 // MiB resident
	benchGrowth   = 4  // MiB, resident, after the first quarter of the time
	benchSegments = 3  // in which the time on the CPU is measured
)

// benchTime is how long each case lasts, as REPLYPATH_ASK says.
func benchTime(b *testing.B) time.Duration {
	b.Helper()
	text := os.Getenv("REPLYPATH_ASK")
	if text == "" {
		return 10 * time.Second
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		b.Fatal(err)
	}
	return long
}

// BenchmarkProbes tells what 64 probes of a kind cost that ask five times per second, when all are answered and when
// none is. What the network between the hosts of this world costs, as far as it is done while a question is sent, is in
// it.
func BenchmarkProbes(b *testing.B) {
	w := world.TwoISPs(b)
	w.Client.ServeTCP(servedPort)
	trustClient(b, w)
	for _, dead := range []bool{false, true} {
		if dead {
			w.Uplinks[0].ISP.SetSysctl("net.ipv4.ip_forward", "0")
			w.Uplinks[0].ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
		}
		for _, kind := range []string{"icmp", "tcp", "http", "https", "gateway"} {
			if dead && kind == "gateway" {
				w.Uplinks[0].ISP.Run("ip", "link", "set", "port0", "arp", "off")
				w.Uplinks[0].ISP.SetSysctl("net.ipv6.conf.port0.disable_ipv6", "1")
			}
			for f, to := range map[uplinks.Family]netip.Addr{uplinks.IPv4: w.Client4, uplinks.IPv6: w.Client6} {
				b.Run(fmt.Sprintf("%s/%s/%s", kind, f, map[bool]string{false: "answered", true: "dead"}[dead]), func(b *testing.B) {
					e := newProbe(probePath(w.Uplinks[0], f), benchTarget(kind, to), health.DefaultTimeout)
					e.Times, e.Every, e.For = probesInBench, benchEvery, benchTime(b)/(1+benchSegments)
					benchProbes(b, w, e, dead)
				})
			}
		}
	}
}

// trustClient serves pages on the client, and has askers believe who it is.
func trustClient(b *testing.B, w *world.Internet) {
	b.Helper()
	certificate, authority := selfSigned(b, w.Client4.AsSlice(), w.Client6.AsSlice())
	for _, network := range []string{"tcp4", "tcp6"} {
		serveOn(b, w.Client, network, 80, nil)
		serveOn(b, w.Client, network, 443, newTLSServer(certificate).config)
	}
	file := filepath.Join(b.TempDir(), "authority.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Setenv("SSL_CERT_FILE", file)
}

func benchTarget(kind string, to netip.Addr) health.Target {
	switch kind {
	case "icmp":
		return icmpTarget(to)
	case "tcp":
		return tcpTarget(to, servedPort)
	case "gateway":
		return gatewayTarget
	}
	port := map[string]uint16{"http": 80, "https": 443}[kind]
	return health.Target{Kind: health.HTTP, URL: kind + "://" + netip.AddrPortFrom(to, port).String() + "/"}
}

func benchProbes(b *testing.B, w *world.Internet, e probeRequest, dead bool) {
	b.Helper()
	a := startProberCommand(b, w.Gateway.Command(b.Context(), "/proc/self/exe", "-test.run=^$"))
	for b.Loop() {
		first := a.probe(e)
		last, shares := first, []float64(nil)
		for range benchSegments {
			f := a.probe(e)
			each := (f.CPU - last.CPU).Seconds() / float64(f.Sent)
			last, shares = f, append(shares, 100*each*probesInBench/e.Every.Seconds())
		}
		if want := map[bool]int{true: e.Times}[dead]; last.Lost != want {
			b.Errorf("%d of the last %d are lost, not %d: %s", last.Lost, e.Times, want, last.Err)
		}
		if e.Probe.Target.Kind == health.HTTP {
			reportMedian(b, shares, "%core")
		} else {
			requireBound(b, shares, "%core", benchCPU)
		}
		requireBound(b, []float64{mebi(last.Resident)}, "MiB", benchMemory)
		requireBound(b, []float64{mebi(last.Resident) - mebi(first.Resident)}, "MiB-grown", benchGrowth)
		b.ReportMetric(mebi(last.Heap), "MiB-heap")
	}
	a.stop()
}

func mebi(octets uint64) float64 { return float64(octets) / (1 << 20) }
