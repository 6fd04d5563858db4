package probes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/connect"
	"replypath/health/probe/firsthop"
	"replypath/health/probe/icmp"
	"replypath/health/probe/resolve"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// proberVariable has the test binary put requests through uplinks, as the service does: it reads them from its
// standard input, one a line, and prints what came of each.
const proberVariable = "REPLYPATH_PROBER"

// probeRequest is a request to the prober.
type probeRequest struct {
	Path       health.Path
	Probe      health.Probe
	Times      int           // at once; 0: one
	Every, For time.Duration // again and again, whether there are answers or not
}

// probeResult is what came of an errand: of the last request, where there were several.
type probeResult struct {
	RTT  time.Duration
	Err  string
	Took time.Duration
	Sent int // requests
	Lost int
	usage
}

// usage is the resource usage of the prober's process.
type usage struct {
	Goroutines, Files int
	CPU               time.Duration // until now
	Heap, Resident    uint64        // octets
}

// runProberIfRequested implements the prober's main. Before the first request and after the last one it reports its resource
// usage.
func runProberIfRequested() {
	if _, requested := os.LookupEnv(proberVariable); !requested {
		return
	}
	runtime.GOMAXPROCS(1) // as the service does
	requests, results := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	names := resolve.New()
	pings := icmp.New(names)
	connections := connect.New(names)
	neighbours, err := rtnl.OpenNeighbourTable()
	check(err)
	gateways := firsthop.New(neighbours)
	probers := map[health.ProbeKind]health.Prober{health.Gateway: gateways, health.ICMP: pings, health.TCP: connections, health.HTTP: connections}
	openPoller()
	before := inUse()
	check(results.Encode(probeResult{usage: before}))
	var e probeRequest
	err = requests.Decode(&e)
	for ; err == nil; err = requests.Decode(&e) {
		check(results.Encode(e.run(probers[e.Probe.Target.Kind])))
		e = probeRequest{}
	}
	if err != io.EOF {
		check(err)
	}
	pings.Close()
	gateways.Close()
	neighbours.Close()
	check(results.Encode(probeResult{usage: atRest(before)}))
	os.Exit(0)
}

// openPoller makes the Go runtime open its network poller.
func openPoller() {
	r, w, err := os.Pipe()
	check(err)
	check(errors.Join(r.SetDeadline(time.Time{}), r.Close(), w.Close()))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "prober:", err)
		os.Exit(1)
	}
}

func (e probeRequest) run(p health.Prober) (f probeResult) {
	began := time.Now()
	var probes sync.WaitGroup
	outcomes, sent := make([]health.Outcome, max(e.Times, 1)), make([]int, max(e.Times, 1))
	for i := range outcomes {
		each := e
		if len(outcomes) > 1 && each.Probe.Target.Kind == health.HTTP {
			each.Probe.Target.URL += fmt.Sprint("?", i) // of two probes no target is the same
		}
		probes.Go(func() { outcomes[i], sent[i] = each.repeat(p) })
	}
	probes.Wait()
	f.Took, f.usage = time.Since(began), inUse()
	for i, o := range outcomes {
		f.RTT, f.Sent = o.RTT, f.Sent+sent[i]
		if o.Err != nil {
			f.Err, f.Lost = o.Err.Error(), f.Lost+1
		}
	}
	return f
}

// repeat probes as often as requested, and returns the last outcome and the number of probes.
func (e probeRequest) repeat(p health.Prober) (last health.Outcome, sent int) {
	if e.Every == 0 {
		return p.Probe(context.Background(), e.Path, e.Probe), 1
	}
	var probes sync.WaitGroup
	time.Sleep(rand.N(e.Every)) // probes are not in step
	tick, end := time.NewTicker(e.Every), time.After(e.For)
	defer tick.Stop()
	for sent = 1; ; sent++ {
		select {
		case <-tick.C:
			probes.Go(func() { p.Probe(context.Background(), e.Path, e.Probe) })
		case <-end:
			probes.Wait()
			return p.Probe(context.Background(), e.Path, e.Probe), sent
		}
	}
}

// atRest waits until no more is in use than before, and gives up after a while.
func atRest(before usage) (u usage) {
	for range 500 {
		if u = inUse(); u.Goroutines <= before.Goroutines && u.Files <= before.Files {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return u
}

func inUse() (u usage) {
	entries, err := os.ReadDir("/proc/self/fd")
	check(err)
	var used unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &used))
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	u.Goroutines, u.Files, u.Heap = runtime.NumGoroutine(), len(entries), memory.HeapAlloc
	u.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	statm, err := os.ReadFile("/proc/self/statm")
	check(err)
	_, err = fmt.Sscan(string(statm), new(uint64), &u.Resident)
	check(err)
	u.Resident *= uint64(os.Getpagesize())
	return u
}
