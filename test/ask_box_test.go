package test

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
	"replypath/test/world"
	"replypath/uplinks"
)

// asker is a process on the gateway that puts questions through uplinks.
type asker struct {
	t       testing.TB
	cmd     *world.Command
	errands io.WriteCloser
	out     *os.File
	fates   *json.Decoder
	before  fate
}

// asker starts one, as root.
func (b *box) asker() *asker {
	b.t.Helper()
	return startAsker(b.t, b.Gateway.Command(b.t.Context(), "/proc/self/exe", "-test.run=^$"))
}

func startAsker(t testing.TB, cmd *world.Command) *asker {
	t.Helper()
	a := &asker{t: t, cmd: cmd}
	a.cmd.Env = append(os.Environ(), askerVariable+"=1")
	a.cmd.Stderr = os.Stderr
	out, theirs, err := os.Pipe()
	if err == nil {
		a.cmd.Stdout, a.out = theirs, out
		t.Cleanup(func() { out.Close() })
		a.errands, err = a.cmd.StdinPipe()
	}
	if err == nil {
		err = a.cmd.Start()
		theirs.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	a.fates = json.NewDecoder(bufio.NewReader(out))
	a.before = a.fate(0)
	return a
}

// notHung is how long an asker may take that has not hung.
const notHung = time.Minute

// fate is the next one that the asker tells, when what it does takes that long.
func (a *asker) fate(takes time.Duration) (f fate) {
	a.t.Helper()
	if err := a.out.SetReadDeadline(time.Now().Add(takes + notHung)); err != nil {
		a.t.Fatal(err)
	}
	if err := a.fates.Decode(&f); err != nil {
		a.t.Fatalf("the asker: %v", err)
	}
	return f
}

func (a *asker) run(e errand) fate {
	a.t.Helper()
	if err := json.NewEncoder(a.errands).Encode(e); err != nil {
		a.t.Fatal(err)
	}
	return a.fate(e.For)
}

// end lets the asker close what it has, and wants nothing to be left.
func (a *asker) end() {
	a.t.Helper()
	a.errands.Close()
	after := a.fate(0)
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the asker ended with %v", err)
	}
	if after.Goroutines > a.before.Goroutines || after.Files > a.before.Files {
		a.t.Errorf("left behind: %d goroutines of %d, %d files of %d", after.Goroutines, a.before.Goroutines, after.Files, a.before.Files)
	}
}

// answered wants an answer in the time that the question had.
func (a *asker) answered(e errand) fate {
	a.t.Helper()
	f := a.run(e)
	if f.Err != "" || f.RTT <= 0 || f.RTT > e.Probe.Timeout {
		a.t.Errorf("%+v: %+v", e, f)
	}
	return f
}

// failed wants a failure that says this.
func (a *asker) failed(e errand, words ...string) fate {
	a.t.Helper()
	f := a.run(e)
	for _, word := range words {
		if !strings.Contains(f.Err, word) {
			a.t.Errorf("%+v: %q does not say %q", e, f.Err, word)
		}
	}
	return f
}

// path is how an uplink's questions leave in a family.
func path(u *world.Uplink, f uplinks.Family) health.Path {
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

// lasting is how long a question waits that is to be answered: this machine may be slow.
const lasting = 10 * time.Second

// fleeting is how long a question waits that nobody will answer.
const fleeting = 300 * time.Millisecond

// asking is a question for a target.
func asking(p health.Path, t health.Target, timeout time.Duration) errand {
	q := health.NewProbe("probe", t)
	q.Timeout = timeout
	return errand{Path: p, Probe: q}
}

// client is the client's address in a family.
func (b *box) client(f uplinks.Family) netip.Addr {
	if f == uplinks.IPv4 {
		return b.Client4
	}
	return b.Client6
}
