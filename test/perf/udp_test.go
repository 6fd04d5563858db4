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
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	udpPairs  = 3000 // questions with their answers, in each round
	udpRounds = 9
	udpShare  = 3 // percent of the CPU time of a question and its answer
)

// BenchmarkUDPAnswers measures what the programs of [udp] cost, as the kernel accounts for their time, without what accounting itself
// takes: for a datagram that is asked at the second uplink and its answer, by both of which programs find what they look for, as a share of
// the CPU time of client, server and kernel; and for a packet of TCP without a mark, from a host inside. Off, there is no program.
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
	nothing := attachNothing(b, group)
	for b.Loop() {
		if out, err := w.Gateway.Command(b.Context(), box.Binary, append([]string{"apply"}, files...)...).CombinedOutput(); err != nil {
			b.Fatalf("apply: %v\n%s", err, out)
		}
		for _, to := range w.Uplinks[1].Addrs() {
			client := map[bool]netip.Addr{true: w.Client4, false: w.Client6}[to.Is4()]
			b.Run(map[bool]string{true: "IPv4", false: "IPv6"}[to.Is4()], func(b *testing.B) { measureAnswers(b, w, nothing, client, to) })
		}
		b.Run("TCP", func(b *testing.B) { measureUnmarked(b, w, nothing) })
	}
}

// attachNothing attaches a program that does nothing to the control group. The time that the kernel accounts for it is what accounting takes:
// some ten times as long as the few instructions of a program without a hit.
func attachNothing(b *testing.B, group string) *ebpf.Program {
	b.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "nothing", Type: ebpf.CGroupSKB, AttachType: ebpf.AttachCGroupInetIngress,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	l, err := link.AttachCgroup(link.CgroupOptions{Path: group, Attach: ebpf.AttachCGroupInetIngress, Program: p})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return p
}

// programUse is how often the programs ran, and for how long, and the same of the program that does nothing.
type programUse struct {
	runs, nothingRuns uint64
	time, nothingTime time.Duration
}

// measureUse returns what the programs use while f runs.
func measureUse(b *testing.B, nothing *ebpf.Program, f func()) (u programUse) {
	b.Helper()
	before, err := nothing.Stats()
	if err != nil {
		b.Fatal(err)
	}
	runs, total := programTime(b)
	f()
	u.runs, u.time = programTime(b)
	u.runs, u.time = u.runs-runs, u.time-total
	after, err := nothing.Stats()
	if err != nil {
		b.Fatal(err)
	}
	u.nothingRuns, u.nothingTime = after.RunCount-before.RunCount, after.Runtime-before.Runtime
	if u.runs == 0 || u.nothingRuns == 0 {
		b.Fatalf("no program ran: %+v", u)
	}
	return u
}

// net returns the time of the programs without that of accounting for them.
func (u programUse) net() time.Duration {
	return u.time - time.Duration(float64(u.nothingTime)/float64(u.nothingRuns)*float64(u.runs))
}

// measureAnswers measures questions and their answers.
func measureAnswers(b *testing.B, w *world.Internet, nothing *ebpf.Program, client, to netip.Addr) {
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
		var cpu time.Duration
		use := measureUse(b, nothing, func() {
			cpu = processTime(b)
			for range udpPairs {
				if err := box.Exchange(socket); err != nil {
					b.Fatal(err)
				}
			}
			cpu = processTime(b) - cpu
		})
		shares = append(shares, 100*float64(use.net())/float64(cpu))
		each = append(each, float64(use.net().Nanoseconds())/udpPairs)
	}
	box.ReportMedian(b, each, "ns/pair")
	box.RequireBound(b, shares, "%CPU", udpShare)
}

// measureUnmarked measures packets of TCP without a mark.
func measureUnmarked(b *testing.B, w *world.Internet, nothing *ebpf.Program) {
	var each []float64
	for range udpRounds {
		use := measureUse(b, nothing, func() {
			for range 100 {
				if a := w.LAN.Send(box.NewRequest(world.KindTCP, netip.MustParseAddr("198.18.0.1"))); !a.OK {
					b.Fatal(a)
				}
			}
		})
		each = append(each, float64(use.net().Nanoseconds())/float64(use.runs))
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
