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
	restCPU     = 0.5 // percent of one core
	restMemory  = 30  // MiB
	ticks       = 100 // a second, in proc_pid_stat(5)
)

// BenchmarkServiceAtRest measures the cost of the service without probes and without events: with gateways that answer, whose
// proofs say Yes, and with gateways that nobody has, whose proofs say No for as long.
func BenchmarkServiceAtRest(b *testing.B) {
	b.Run("shown", func(b *testing.B) { measureRest(b, true) })
	b.Run("silent", func(b *testing.B) { measureRest(b, false) })
}

func measureRest(b *testing.B, answered bool) {
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
	fmt.Fprintln(config, `probes.otherwise = "off"`)
	for i := range restUplinks {
		link, port := w.Join(gateway, fmt.Sprintf("eth%d", i), isp, fmt.Sprintf("port%d", i))
		link.Addr(fmt.Sprintf("198.19.%d.2/24", i), fmt.Sprintf("2001:db8:%x::2/64", 0x100+i))
		if answered {
			port.Addr(fmt.Sprintf("198.19.%d.1/24", i), "fe80::1/64")
		}
		fmt.Fprintf(config, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [\"198.19.%d.1\", \"fe80::1\"]\n", i, i+1, link.Name, i)
	}
	for b.Loop() {
		cmd := startServiceInBench(b, gateway, config.String())
		before, began := box.CPUTicks(b, cmd.Process.Pid), time.Now()
		time.Sleep(lasts)
		share := 100 * float64(box.CPUTicks(b, cmd.Process.Pid)-before) / ticks / time.Since(began).Seconds()
		memory := box.Resident(b, cmd.Process.Pid)
		box.RequireBound(b, []float64{share}, "%CPU", restCPU)
		box.RequireBound(b, []float64{float64(memory) / 1024}, "MiB", restMemory)
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
	for gateway.Command(b.Context(), box.Binary, append([]string{"plan"}, files...)...).Run() != nil {
		time.Sleep(100 * time.Millisecond)
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
