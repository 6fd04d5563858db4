package perf

import (
	"fmt"
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
	cpu      float64 // at most, in percent of one core
	wakeUps  float64 // at most, of all its threads in a second
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
	w := world.New(b)
	gateway, isp := w.Host("gw"), w.Host("isp")
	config := new(strings.Builder)
	fmt.Fprintln(config, "mask = 0xff00") // room for 255 uplinks
	if !v.probed {
		fmt.Fprintln(config, `probes.otherwise = "off"`)
	}
	for i := range v.uplinks {
		link, port := w.Join(gateway, fmt.Sprintf("eth%d", i), isp, fmt.Sprintf("port%d", i))
		link.Addr(fmt.Sprintf("198.19.%d.2/24", i), fmt.Sprintf("2001:db8:%x::2/64", 0x100+i))
		if v.answered {
			port.Addr(fmt.Sprintf("198.19.%d.1/24", i), fmt.Sprintf("fe80::1:%x/64", i))
			// Each real gateway is a host of its own. Without these, the solicitation of one walks the multicast routes of all.
			isp.Run("ip", "-6", "route", "add", "multicast", fmt.Sprintf("ff02::1:ff01:%x/128", i), "dev", port.Name, "table", "local")
		}
		fmt.Fprintf(config, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [\"198.19.%d.1\", \"fe80::1:%x\"]\n", i, i+1, link.Name, i, i)
	}
	for b.Loop() {
		cmd := startServiceInBench(b, gateway, config.String())
		before, woken, began := box.CPUTicks(b, cmd.Process.Pid), box.WakeUps(b, cmd.Process.Pid), time.Now()
		time.Sleep(lasts)
		share := 100 * float64(box.CPUTicks(b, cmd.Process.Pid)-before) / ticks / time.Since(began).Seconds()
		wakeUps := float64(box.WakeUps(b, cmd.Process.Pid)-woken) / time.Since(began).Seconds()
		memory := box.Resident(b, cmd.Process.Pid)
		box.RequireBound(b, []float64{share}, "%CPU", v.cpu)
		box.RequireBound(b, []float64{wakeUps}, "wake-ups/s", v.wakeUps)
		box.RequireBound(b, []float64{float64(memory) / 1024}, "MiB", v.memory)
		killInBench(b, cmd)
	}
}

// startServiceInBench starts the service, and waits until it has nothing to do but to watch.
func startServiceInBench(b *testing.B, gateway *world.Host, config string) *world.Command {
	b.Helper()
	dir := b.TempDir()
	files := []string{"--config", dir + "/replypath.toml", "--state", dir + "/state"}
	if err := os.WriteFile(files[1], []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := gateway.Command(b.Context(), box.Binary, append([]string{"run"}, files...)...)
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
	return cmd
}

func killInBench(b *testing.B, cmd *world.Command) {
	b.Helper()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	cmd.Wait()
}
