package test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// verifyReport is what verify --json prints, as far as tests look at it.
type verifyReport struct {
	Version int
	Result  string
	Paths   []verifyPath
}

type verifyPath struct {
	Uplink, Family, Interface string
	Asked, Shown              verifyResult
	Seen                      *struct{ Symmetric, Stray int }
	Questions                 []verifyPacket
}

type verifyPacket struct {
	Kind, Protocol, To, From string
	Left                     string `json:"left_by"`
	verifyResult
}

type verifyResult struct{ Result, Cause, Why, Remedy string }

func (f verifyResult) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Result, f.Cause, f.Why))
}

// verify runs verify and wants its exit status to agree with what it says.
func (b *box) verify() verifyReport {
	b.t.Helper()
	r := b.run("verify", "--json")
	var v verifyReport
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || v.Version != 1 {
		b.t.Fatalf("verify --json: %v: %s", err, r)
	}
	want := map[string]int{"yes": 0, "unknown": 0, "no": 3}[v.Result]
	if r.status != want {
		b.t.Errorf("verify says %q and exits with %d", v.Result, r.status)
	}
	return v
}

// path is that of an uplink in a family.
func (v verifyReport) path(u *world.Uplink, family int) verifyPath {
	i := slices.IndexFunc(v.Paths, func(p verifyPath) bool {
		return p.Interface == u.Link.Name && p.Family == fmt.Sprintf("ipv%d", family)
	})
	if i < 0 {
		return verifyPath{}
	}
	return v.Paths[i]
}

// question is the first of that kind.
func (p verifyPath) question(kind string) verifyPacket {
	i := slices.IndexFunc(p.Questions, func(q verifyPacket) bool { return q.Kind == kind })
	if i < 0 {
		return verifyPacket{}
	}
	return p.Questions[i]
}

// wantOK wants every path and every question to be right.
func (v verifyReport) wantOK(t *testing.T, uplinks int) {
	t.Helper()
	if v.Result != "yes" || len(v.Paths) != 2*uplinks {
		t.Errorf("result %q of %d paths", v.Result, len(v.Paths))
	}
	for _, p := range v.Paths {
		p.wantOK(t)
	}
}

func (p verifyPath) wantOK(t *testing.T) {
	t.Helper()
	if p.Asked.Result != "yes" || p.Shown.Result != "yes" || len(p.Questions) == 0 {
		t.Errorf("%s %s: asked %s, shown %s, %d questions", p.Uplink, p.Family, p.Asked, p.Shown, len(p.Questions))
	}
	for _, q := range p.Questions {
		if q.Result != "yes" || q.Left != p.Interface {
			t.Errorf("%s %s: %s to %s: %s, left by %q", p.Uplink, p.Family, q.Kind, q.To, q.verifyResult, q.Left)
		}
	}
}

func TestVerifySucceedsOnAHealthyHost(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			w := c.build(t, 2, world.Options{SecondAddr: []int{1}})
			w.Gateway.ServeTCP(servedPort)
			b := newBox(t, w, backend)
			b.apply()
			if a := b.Client.Send(newRequest(world.KindPing, w.Uplinks[1].Addr6)); !a.OK {
				t.Error(a)
			}
			v := b.verify()
			v.wantOK(t, 2)
			if seen := v.path(w.Uplinks[1], 6).Seen; seen == nil || seen.Symmetric != 1 || seen.Stray != 0 {
				t.Errorf("seen %+v", seen)
			}
			if p := v.path(w.Uplinks[1], 6); len(p.Questions) != 5 { // echo, closed, datagram, listener, and echo to the second address
				t.Errorf("%d questions: %+v", len(p.Questions), p.Questions)
			}
		})
	})
}

func TestVerifyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		w := world.TwoISPs(t)
		w.Gateway.ServeTCP(servedPort)
		b := newBox(t, w, backend)
		b.apply()
		wires := b.everyWire()
		before, traces := takeSnapshot(b.Gateway), b.kernelTraces()
		for range 3 {
			b.verify().wantOK(t, 2)
		}
		b.wantNoTraces(t, wires, traces)
		before.wantSame(t, "verify", b.Gateway)
	})
}

// sent tells whether a packet on the other end of a wire comes from the gateway. Its reports on multicast groups do not
// count: the kernel makes them whenever a link has come up.
func sent(p world.Packet) bool {
	return p.Dir == world.In && !(p.Proto == world.ICMPv6 && p.ICMPType == 143)
}

// uplinkWires records what the gateway sends by its uplinks.
func (b *box) uplinkWires() (wires []*world.Recorder) {
	for _, u := range b.Uplinks {
		wires = append(wires, u.Wire.Record(sent))
	}
	return wires
}

// everyWire records what the gateway sends by any link.
func (b *box) everyWire() []*world.Recorder {
	return append(b.uplinkWires(), b.LAN.Link("eth0").Record(sent))
}

// kernelTraces are what questions could leave in the kernel: connections, neighbours, half-open sockets, and our counters.
func (b *box) kernelTraces() map[string]string {
	all := map[string]string{
		"connections": connections(b.Gateway),
		"neighbours":  b.Gateway.Run("ip", "neigh"),
		"half-open":   b.Gateway.Run("ss", "-Htan", "state", "syn-recv"),
		"sockets":     b.Gateway.Run("ss", "-Huan"),
	}
	for _, family := range []int{4, 6} {
		all[fmt.Sprintf("replies in family %d", family)] = b.iptables(family, "-t", "mangle", "-vnxL", "REPLYPATH-POST")
	}
	return all
}

// connections are those that are tracked, without the seconds that they have left.
func connections(h *world.Host) string {
	all := strings.Split(conntrackTimeouts.ReplaceAllString(h.Run("conntrack", "-L", "-o", "extended"), "$1"), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

var conntrackTimeouts = regexp.MustCompile(`(?m)^(\S+ +\d+ +\S+ +\d+) +\d+`)

// wantNoTraces wants nothing to have got on a wire, and no trace.
func (b *box) wantNoTraces(t *testing.T, wires []*world.Recorder, before map[string]string) {
	t.Helper()
	b.wantNoTracesExcept(t, wires, before, "")
}

func (b *box) wantNoTracesExcept(t *testing.T, wires []*world.Recorder, before map[string]string, spared string) {
	t.Helper()
	b.wantNoPackets(t, wires)
	for what, now := range b.kernelTraces() {
		if now != before[what] && what != spared {
			t.Errorf("%s before:\n%s\nnow:\n%s", what, before[what], now)
		}
	}
}

// wantNoPackets wants nothing to have got on a wire.
func (b *box) wantNoPackets(t *testing.T, wires []*world.Recorder) {
	t.Helper()
	b.Settle()
	for i, wire := range wires {
		for _, p := range wire.Packets() {
			t.Errorf("wire %d: %s", i, p)
		}
	}
}
