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
	benchProbes   = 64
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

// BenchmarkAsking tells what 64 probes of a kind cost that ask five times per second, when all are answered and when
// none is. What the network between the hosts of this world costs, as far as it is done while a question is sent, is in
// it.
func BenchmarkAsking(b *testing.B) {
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
					e := asking(path(w.Uplinks[0], f), benchTarget(kind, to), health.DefaultTimeout)
					e.Times, e.Every, e.For = benchProbes, benchEvery, benchTime(b)/(1+benchSegments)
					benchAsking(b, w, e, dead)
				})
			}
		}
	}
}

// trustClient serves pages on the client, and has askers believe who it is.
func trustClient(b *testing.B, w *world.Internet) {
	b.Helper()
	certificate, authority := certify(b, w.Client4.AsSlice(), w.Client6.AsSlice())
	for _, network := range []string{"tcp4", "tcp6"} {
		serveOn(b, w.Client, network, 80, nil)
		serveOn(b, w.Client, network, 443, newPresenter(certificate).config)
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
		return echo(to)
	case "tcp":
		return tcp(to, servedPort)
	case "gateway":
		return gateway
	}
	port := map[string]uint16{"http": 80, "https": 443}[kind]
	return health.Target{Kind: health.HTTP, URL: kind + "://" + netip.AddrPortFrom(to, port).String() + "/"}
}

func benchAsking(b *testing.B, w *world.Internet, e errand, dead bool) {
	b.Helper()
	a := startAsker(b, w.Gateway.Command(b.Context(), "/proc/self/exe", "-test.run=^$"))
	for b.Loop() {
		first := a.run(e)
		last, shares := first, []float64(nil)
		for range benchSegments {
			f := a.run(e)
			each := (f.CPU - last.CPU).Seconds() / float64(f.Put)
			last, shares = f, append(shares, 100*each*benchProbes/e.Every.Seconds())
		}
		if want := map[bool]int{true: e.Times}[dead]; last.Lost != want {
			b.Errorf("%d of the last %d are lost, not %d: %s", last.Lost, e.Times, want, last.Err)
		}
		if e.Probe.Target.Kind == health.HTTP {
			tell(b, shares, "%core")
		} else {
			must(b, shares, "%core", benchCPU)
		}
		must(b, []float64{mebi(last.Resident)}, "MiB", benchMemory)
		must(b, []float64{mebi(last.Resident) - mebi(first.Resident)}, "MiB-grown", benchGrowth)
		b.ReportMetric(mebi(last.Heap), "MiB-heap")
	}
	a.end()
}

func mebi(octets uint64) float64 { return float64(octets) / (1 << 20) }
