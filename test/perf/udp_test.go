package perf

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	udpPairs  = 3000 // questions with their answers, in each round
	udpRounds = 9
	udpShare  = 3 // percent of the CPU time of a question and its answer
)

// BenchmarkUDPAnswers measures what the programs of [udp] cost, as the kernel accounts for their time: for a datagram that is
// asked at the second uplink and its answer, by both of which programs find what they look for, as a share of the CPU time of
// client, server and kernel; and for a packet of TCP without a mark, from a host inside. Off, there is no program.
func BenchmarkUDPAnswers(b *testing.B) {
	group := world.NewCgroup(b)
	w := world.TwoISPs(b)
	w.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	w.Gateway.ServeTCP(box.ServedPort)
	config := fmt.Sprintf("[udp]\nanswer = \"asked\"\ncgroup = %q\n", group)
	for _, u := range w.Uplinks {
		config += fmt.Sprintf("[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	dir := b.TempDir()
	files := []string{"--config", dir + "/replypath.toml", "--state", dir + "/state"}
	if err := os.WriteFile(files[1], []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	statistics, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer statistics.Close()
	for b.Loop() {
		if out, err := w.Gateway.Command(b.Context(), box.Binary, append([]string{"apply"}, files...)...).CombinedOutput(); err != nil {
			b.Fatalf("apply: %v\n%s", err, out)
		}
		for _, to := range w.Uplinks[1].Addrs() {
			client := map[bool]netip.Addr{true: w.Client4, false: w.Client6}[to.Is4()]
			b.Run(map[bool]string{true: "IPv4", false: "IPv6"}[to.Is4()], func(b *testing.B) { measureAnswers(b, w, client, to) })
		}
		b.Run("TCP", func(b *testing.B) { measureUnmarked(b, w) })
	}
}

// measureAnswers measures questions and their answers.
func measureAnswers(b *testing.B, w *world.Internet, client, to netip.Addr) {
	var socket *net.UDPConn
	var err error
	w.Client.Do(func() {
		socket, err = net.DialUDP("udp", &net.UDPAddr{IP: client.AsSlice()}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, box.ServedPort)))
	})
	if err != nil {
		b.Fatal(err)
	}
	defer socket.Close()
	var shares, each []float64
	for range udpRounds {
		_, before := programTime(b)
		cpu := processTime(b)
		for range udpPairs {
			if err := box.Exchange(socket); err != nil {
				b.Fatal(err)
			}
		}
		cpu = processTime(b) - cpu
		_, after := programTime(b)
		shares = append(shares, 100*float64(after-before)/float64(cpu))
		each = append(each, float64((after-before).Nanoseconds())/udpPairs)
	}
	box.ReportMedian(b, each, "ns/pair")
	box.RequireBound(b, shares, "%CPU", udpShare)
}

// measureUnmarked measures packets of TCP without a mark.
func measureUnmarked(b *testing.B, w *world.Internet) {
	var each []float64
	for range udpRounds {
		runs, before := programTime(b)
		for range 100 {
			if a := w.LAN.Send(box.NewRequest(world.KindTCP, netip.MustParseAddr("198.18.0.1"))); !a.OK {
				b.Fatal(a)
			}
		}
		more, after := programTime(b)
		if more == runs {
			b.Fatal("no program ran")
		}
		each = append(each, float64((after-before).Nanoseconds())/float64(more-runs))
	}
	box.ReportMedian(b, each, "ns/packet")
}

// programTime returns how often the programs ran, and for how long.
func programTime(b *testing.B) (runs uint64, total time.Duration) {
	b.Helper()
	for id, err := ebpf.ProgramGetNextID(0); err == nil; id, err = ebpf.ProgramGetNextID(id) {
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // it has gone
		}
		info, err := p.Info()
		if err == nil && strings.HasPrefix(info.Name, "rp_") {
			if s, err := p.Stats(); err == nil {
				runs, total = runs+s.RunCount, total+s.Runtime
			}
		}
		p.Close()
	}
	return runs, total
}

// processTime returns the CPU time of this process, which is client and server, and of the kernel for it.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime))
}
