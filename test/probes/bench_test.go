package probes

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// BenchmarkProbes measures the cost of 64 probes of a kind at five per second, when all are answered and when
// none is. What the network between the hosts of this world costs, as far as it is done while a request is sent, is in
// it.
func BenchmarkProbes(b *testing.B) {
	w := world.TwoISPs(b)
	w.Client.ServeTCP(box.ServedPort)
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
					e.Times, e.Every, e.For = box.ProbesInBench, box.BenchEvery, box.BenchTime(b)/(1+box.BenchSegments)
					benchProbes(b, w, e, dead)
				})
			}
		}
	}
}

// trustClient serves HTTP and HTTPS on the client, with a certificate that probers trust.
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
		return tcpTarget(to, box.ServedPort)
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
		for range box.BenchSegments {
			f := a.probe(e)
			each := (f.CPU - last.CPU).Seconds() / float64(f.Sent)
			last, shares = f, append(shares, 100*each*box.ProbesInBench/e.Every.Seconds())
		}
		if want := map[bool]int{true: e.Times}[dead]; last.Lost != want {
			b.Errorf("%d of the last %d are lost, not %d: %s", last.Lost, e.Times, want, last.Err)
		}
		if e.Probe.Target.Kind == health.HTTP {
			box.ReportMedian(b, shares, "%core")
		} else {
			box.RequireBound(b, shares, "%core", box.BenchCPU)
		}
		box.RequireBound(b, []float64{mebi(last.Resident)}, "MiB", box.BenchMemory)
		box.RequireBound(b, []float64{mebi(last.Resident) - mebi(first.Resident)}, "MiB-grown", box.BenchGrowth)
		b.ReportMetric(mebi(last.Heap), "MiB-heap")
	}
	a.stop()
}

func mebi(octets uint64) float64 { return float64(octets) / (1 << 20) }
