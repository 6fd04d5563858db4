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
)

// idleVariable sets how long the idle service is measured.
const idleVariable = "REPLYPATH_IDLE"

const (
	restUplinks = 31
	restTime    = 10 * time.Second
	startTime   = 2 * time.Minute
	ticks       = 100 // a second, in proc_pid_stat(5)
)

// restVariant is a host at rest, and what the service may cost there.
type restVariant struct {
	name     string
	uplinks  int
	answered bool    // the gateways answer, and the proofs say Yes; otherwise nobody has their addresses, and they say No
	probed   bool    // each gateway is probed once a second, by ARP and neighbour discovery
	cpu      float64 // at most, in percent of one core, where the bare program takes bareShare; else as many times more as that does
	wakeUps  float64 // at most, of all its threads in a second, on the same terms
	memory   float64 // at most, in MiB
}

var restVariants = []restVariant{
	{name: "shown", uplinks: restUplinks, answered: true, cpu: 0.5, wakeUps: 20, memory: 30},
	{name: "silent", uplinks: restUplinks, cpu: 0.5, wakeUps: 20, memory: 30},
	{name: "probed", uplinks: restUplinks, answered: true, probed: true, cpu: 0.8, wakeUps: 25, memory: 30},
	{name: "probed-silent", uplinks: restUplinks, probed: true, cpu: 0.8, wakeUps: 25, memory: 30},
	{name: "probed-250", uplinks: 250, answered: true, probed: true, cpu: 3, wakeUps: 60, memory: 60},
}

// BenchmarkServiceAtRest measures the cost of the service without events.
func BenchmarkServiceAtRest(b *testing.B) {
	for _, v := range restVariants {
		b.Run(v.name, v.measure)
	}
}

func (v restVariant) measure(b *testing.B) {
	lasts := restTime
	if text, ok := os.LookupEnv(idleVariable); ok {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	gateway, gateways, config := v.build(b)
	// An idle machine takes longer for the same work than a busy one, as its processors sleep in between. Wake-ups grow with that time: the
	// runtime's monitor wakes up every 20 µs while a goroutine works.
	slowness := max(1, measureBareProgram(b, gateway, gateways)/bareShare[v.uplinks])
	for b.Loop() {
		s := startServiceInBench(b, gateway, config)
		pid := s.Process.Pid
		share, wakeUps := s.measure(b, lasts)
		memory := box.Resident(b, pid)
		box.RequireBound(b, []float64{share}, "%CPU", slowness*v.cpu)
		box.RequireBound(b, []float64{wakeUps}, "wake-ups/s", slowness*v.wakeUps)
		box.RequireBound(b, []float64{float64(memory) / 1024}, "MiB", v.memory)
		killInBench(b, s.Command)
	}
}

// build makes the host and its gateways, and returns them with the configuration.
func (v restVariant) build(b *testing.B) (gateway *world.Host, gateways []bareGateway, config string) {
	w := world.New(b)
	gateway, isp := w.Host("gw"), w.Host("isp")
	text := new(strings.Builder)
	var ports []*world.Link
	fmt.Fprintln(text, "mask = 0xff00") // room for 255 uplinks
	if !v.probed {
		fmt.Fprintln(text, `probes.otherwise = "off"`)
	}
	for i := range v.uplinks {
		link, port := w.Join(gateway, fmt.Sprintf("eth%d", i), isp, fmt.Sprintf("port%d", i))
		link.Addr(fmt.Sprintf("198.19.%d.2/24", i), fmt.Sprintf("2001:db8:%x::2/64", 0x100+i))
		if v.answered {
			port.Addr(fmt.Sprintf("198.19.%d.1/24", i), fmt.Sprintf("fe80::1:%x/64", i))
			// Each real gateway is a host of its own. Without these, the solicitation of one walks the multicast routes of all.
			isp.Run("ip", "-6", "route", "add", "multicast", fmt.Sprintf("ff02::1:ff01:%x/128", i), "dev", port.Name, "table", "local")
		}
		ports = append(ports, port)
		gateways = append(gateways, bareGateway{Index: link.Index, From4: netip.MustParseAddr(fmt.Sprintf("198.19.%d.2", i)),
			From6: netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::2", 0x100+i)), Gate4: netip.MustParseAddr(fmt.Sprintf("198.19.%d.1", i)),
			Gate6: netip.MustParseAddr(fmt.Sprintf("fe80::1:%x", i))})
		fmt.Fprintf(text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [\"198.19.%d.1\", \"fe80::1:%x\"]\n", i, i+1, link.Name, i, i)
	}
	keepNeighbours(b, isp, ports)
	return gateway, gateways, text.String()
}

// keepNeighbours gives the host permanent neighbour entries for the other ends of its links: the kernel has one table for all network
// namespaces, in which they do not count. When it is full, a solicitation for a gateway is not answered.
func keepNeighbours(b *testing.B, isp *world.Host, ports []*world.Link) {
	b.Helper()
	entries := new(strings.Builder)
	for _, port := range ports {
		port.Peer.Host.Do(func() {
			link, err := net.InterfaceByName(port.Peer.Name)
			if err != nil {
				b.Error(err)
				return
			}
			addrs, _ := link.Addrs()
			for _, a := range addrs {
				fmt.Fprintf(entries, "neigh replace %s lladdr %s dev %s nud permanent\n", a.(*net.IPNet).IP, link.HardwareAddr, port.Name)
			}
		})
	}
	batch := isp.Command(b.Context(), "ip", "-batch", "-")
	batch.Stdin = strings.NewReader(entries.String())
	if out, err := batch.CombinedOutput(); err != nil {
		b.Fatalf("add neighbours: %v: %s", err, out)
	}
}

// serviceAtRest is a service that is measured. It writes to the log when something changes.
type serviceAtRest struct {
	*world.Command
	log string
}

// maxMeasurements is how many measurements are made until one is not disturbed.
const maxMeasurements = 5

// measure returns the share of a core, in percent, and the wake-ups per second of the service over the time. What the service logs
// meanwhile, such as a lost probe on a machine that is busy with something else, ends the rest: it measures again.
func (s serviceAtRest) measure(b *testing.B, lasts time.Duration) (share, wakeUps float64) {
	b.Helper()
	pid := s.Process.Pid
	var logged string
	for range maxMeasurements {
		before, woken, written, began := box.CPUTicks(b, pid), box.WakeUps(b, pid), len(s.written(b)), time.Now()
		time.Sleep(lasts)
		seconds := time.Since(began).Seconds()
		share = 100 * float64(box.CPUTicks(b, pid)-before) / ticks / seconds
		wakeUps = float64(box.WakeUps(b, pid)-woken) / seconds
		if logged = s.written(b)[written:]; logged == "" {
			return share, wakeUps
		}
	}
	b.Fatalf("the service is not at rest:\n%s", logged)
	return 0, 0
}

// written returns the log.
func (s serviceAtRest) written(b *testing.B) string {
	b.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// startServiceInBench starts the service, and waits until it has nothing to do but to watch.
func startServiceInBench(b *testing.B, gateway *world.Host, config string) serviceAtRest {
	b.Helper()
	dir := b.TempDir()
	files := []string{"--config", dir + "/replypath.toml", "--state", dir + "/state"}
	if err := os.WriteFile(files[1], []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := gateway.Command(b.Context(), box.Binary, append([]string{"run"}, files...)...)
	log, err := os.Create(dir + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		out, err := gateway.Command(b.Context(), box.Binary, append([]string{"plan"}, files...)...).CombinedOutput()
		if err == nil {
			break
		}
		if time.Since(began) > startTime {
			b.Fatalf("the kernel is not in sync: %v: %s", err, out)
		}
	}
	time.Sleep(10 * time.Second) // the last look at what was done, its proof, and the one that confirms a No
	return serviceAtRest{cmd, log.Name()}
}

func killInBench(b *testing.B, cmd *world.Command) {
	b.Helper()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	cmd.Wait()
}
