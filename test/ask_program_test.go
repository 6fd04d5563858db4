package test

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
	"replypath/health/connect"
	"replypath/health/firsthop"
	"replypath/health/icmp"
	"replypath/health/resolve"

	"golang.org/x/sys/unix"
)

// askerVariable has the test binary put questions through uplinks, as the service does: it reads them from its
// standard input, one a line, and prints what came of each.
const askerVariable = "REPLYPATH_ASKER"

// errand is a question for the asker.
type errand struct {
	Path       health.Path
	Probe      health.Probe
	Times      int           // at once; 0: one
	Every, For time.Duration // again and again, whether there are answers or not
}

// fate is what came of an errand: of the last question, where there were several.
type fate struct {
	RTT  time.Duration
	Err  string
	Took time.Duration
	Put  int // questions
	Lost int
	use
}

// use is what the asker's process uses.
type use struct {
	Goroutines, Files int
	CPU               time.Duration // until now
	Heap, Resident    uint64        // octets
}

// askIfAsked is the asker's main. Before the first errand and after the last one it tells what it uses.
func askIfAsked() {
	if _, asked := os.LookupEnv(askerVariable); !asked {
		return
	}
	runtime.GOMAXPROCS(1) // as the service does
	errands, fates := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	names := resolve.New()
	pings := icmp.New(names)
	connections := connect.New(names)
	gateways := firsthop.New()
	askers := map[health.Kind]health.Asker{health.Gateway: gateways, health.ICMP: pings, health.TCP: connections, health.HTTP: connections}
	openPoller()
	before := inUse()
	check(fates.Encode(fate{use: before}))
	var e errand
	err := errands.Decode(&e)
	for ; err == nil; err = errands.Decode(&e) {
		check(fates.Encode(e.run(askers[e.Probe.Target.Kind])))
		e = errand{}
	}
	if err != io.EOF {
		check(err)
	}
	pings.Close()
	gateways.Close()
	check(fates.Encode(fate{use: atRest(before)}))
	os.Exit(0)
}

// openPoller has Go open what it needs to wait for files, once.
func openPoller() {
	r, w, err := os.Pipe()
	check(err)
	check(errors.Join(r.SetDeadline(time.Time{}), r.Close(), w.Close()))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "asker:", err)
		os.Exit(1)
	}
}

func (e errand) run(asker health.Asker) (f fate) {
	began := time.Now()
	var questions sync.WaitGroup
	outcomes, put := make([]health.Outcome, max(e.Times, 1)), make([]int, max(e.Times, 1))
	for i := range outcomes {
		each := e
		if len(outcomes) > 1 && each.Probe.Target.Kind == health.HTTP {
			each.Probe.Target.URL += fmt.Sprint("?", i) // of two probes no target is the same
		}
		questions.Go(func() { outcomes[i], put[i] = each.again(asker) })
	}
	questions.Wait()
	f.Took, f.use = time.Since(began), inUse()
	for i, o := range outcomes {
		f.RTT, f.Put = o.RTT, f.Put+put[i]
		if o.Err != nil {
			f.Err, f.Lost = o.Err.Error(), f.Lost+1
		}
	}
	return f
}

// again asks as often as is wanted, and gives the last outcome and how often it was.
func (e errand) again(asker health.Asker) (last health.Outcome, put int) {
	if e.Every == 0 {
		return asker.Ask(context.Background(), e.Path, e.Probe), 1
	}
	var questions sync.WaitGroup
	time.Sleep(rand.N(e.Every)) // probes are not in step
	tick, end := time.NewTicker(e.Every), time.After(e.For)
	defer tick.Stop()
	for put = 1; ; put++ {
		select {
		case <-tick.C:
			questions.Go(func() { asker.Ask(context.Background(), e.Path, e.Probe) })
		case <-end:
			questions.Wait()
			return asker.Ask(context.Background(), e.Path, e.Probe), put
		}
	}
}

// atRest waits until no more is in use than before, and gives up after a while.
func atRest(before use) (u use) {
	for range 500 {
		if u = inUse(); u.Goroutines <= before.Goroutines && u.Files <= before.Files {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return u
}

func inUse() (u use) {
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
