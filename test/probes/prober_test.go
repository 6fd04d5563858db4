package probes

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/marks"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// prober is a process on the gateway that puts requests through uplinks.
type prober struct {
	t        testing.TB
	cmd      *world.Command
	requests io.WriteCloser
	out      *os.File
	results  *json.Decoder
	before   probeResult
}

// startProber starts one, as root.
func startProber(b *box.Box) *prober {
	b.T.Helper()
	return startProberCommand(b.T, b.Gateway.Command(b.T.Context(), "/proc/self/exe", "-test.run=^$"))
}

func startProberCommand(t testing.TB, cmd *world.Command) *prober {
	t.Helper()
	a := &prober{t: t, cmd: cmd}
	a.cmd.Env = append(os.Environ(), proberVariable+"=1")
	a.cmd.Stderr = os.Stderr
	out, theirs, err := os.Pipe()
	if err == nil {
		a.cmd.Stdout, a.out = theirs, out
		t.Cleanup(func() { out.Close() })
		a.requests, err = a.cmd.StdinPipe()
	}
	if err == nil {
		err = a.cmd.Start()
		theirs.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	a.results = json.NewDecoder(bufio.NewReader(out))
	a.before = a.readResult(0)
	return a
}

// proberTimeout is how long a prober may take, on any machine.
const proberTimeout = time.Minute

// readResult returns the prober's next result, of a request that takes that long.
func (a *prober) readResult(takes time.Duration) (f probeResult) {
	a.t.Helper()
	if err := a.out.SetReadDeadline(time.Now().Add(takes + proberTimeout)); err != nil {
		a.t.Fatal(err)
	}
	if err := a.results.Decode(&f); err != nil {
		a.t.Fatalf("the prober: %v", err)
	}
	return f
}

func (a *prober) probe(e probeRequest) probeResult {
	a.t.Helper()
	if err := json.NewEncoder(a.requests).Encode(e); err != nil {
		a.t.Fatal(err)
	}
	return a.readResult(e.For)
}

// stop ends the prober, and wants no goroutine and no file left.
func (a *prober) stop() {
	a.t.Helper()
	a.requests.Close()
	after := a.readResult(0)
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the prober ended with %v", err)
	}
	if after.Goroutines > a.before.Goroutines || after.Files > a.before.Files {
		a.t.Errorf("left behind: %d goroutines of %d, %d files of %d", after.Goroutines, a.before.Goroutines, after.Files, a.before.Files)
	}
}

// wantReply wants an answer in the time that the request had.
func (a *prober) wantReply(e probeRequest) {
	a.t.Helper()
	f := a.probe(e)
	if f.Err != "" || f.RTT <= 0 || f.RTT > e.Probe.Timeout {
		a.t.Errorf("%+v: %+v", e, f)
	}
}

// wantError wants a failure whose error holds all the words.
func (a *prober) wantError(e probeRequest, words ...string) probeResult {
	a.t.Helper()
	f := a.probe(e)
	for _, word := range words {
		if !strings.Contains(f.Err, word) {
			a.t.Errorf("%+v: %q does not say %q", e, f.Err, word)
		}
	}
	return f
}

// probePath returns how an uplink's requests leave in a family.
func probePath(u *world.Uplink, f uplinks.Family) health.Path {
	id := marks.ID(u.Index + 1)
	p := health.Path{
		Key: health.Key{Uplink: u.Link.Name, Family: f}, ID: id, Link: u.Link.Name, Index: u.Link.Index, Up: true, Carrier: true,
		Source: u.Addr4, Gateway: u.Router4, Mark: marks.DefaultMask.Mark(id), Mask: marks.DefaultMask, Table: uplinks.DefaultTableBase + uplinks.Table(id),
	}
	if f == uplinks.IPv6 {
		p.Source, p.Gateway = u.Addr6, u.RouterLL
	}
	return p
}

// replyTimeout is how long a request waits that is to be answered: this machine may be slow.
const replyTimeout = time.Minute

// noReplyTimeout is the timeout of a probe without a reply.
const noReplyTimeout = 300 * time.Millisecond

// newProbe returns a request for a target.
func newProbe(p health.Path, t health.Target, timeout time.Duration) probeRequest {
	q := health.NewProbe("probe", t)
	q.Timeout = timeout
	return probeRequest{Path: p, Probe: q}
}

// clientAddrIn returns the client's address in a family.
func clientAddrIn(b *box.Box, f uplinks.Family) netip.Addr {
	if f == uplinks.IPv4 {
		return b.Client4
	}
	return b.Client6
}
