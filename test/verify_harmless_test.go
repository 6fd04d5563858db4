package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/world"
)

func TestVerifyKilledOrInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		w := world.ISPs(t, 4)
		w.Gateway.ServeTCP(servedPort)
		b := newBox(t, w, backend)
		b.apply()
		began := time.Now()
		b.verify().wantOK(t, 4)
		whole := time.Since(began)
		wires, before := b.everyWire(), takeSnapshot(b.Gateway)
		const times, moments = 60, 13
		caught := 0
		for i := range times {
			cmd := b.command(t.Context(), "verify")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(whole * time.Duration(i%moments) / moments)
			cmd.Process.Signal([]os.Signal{syscall.SIGKILL, syscall.SIGTERM}[i%2])
			// How long it takes hinges on what else the machine does.
			if cmd.Wait() != nil {
				caught++
				whole += whole / 20
			} else {
				whole -= whole / 10
			}
		}
		if caught < times/4 {
			t.Errorf("only %d of %d were ended before they ended", caught, times)
		}
		before.wantSame(t, "killing verify", b.Gateway)
		if half := b.Gateway.Run("ss", "-Htan", "state", "syn-recv"); half != "" {
			t.Errorf("half-open: %s", half)
		}
		b.wantNoPackets(t, wires)
		b.verify().wantOK(t, 4)
	})
}

func TestVerifyDoesNotDisturbTraffic(t *testing.T) {
	t.Parallel()
	w := conditions{rpFilter: 1}.build(t, 2, world.Options{})
	serveAll(w.Gateway)
	b := newBox(t, w)
	b.apply()
	f := b.startConnections(t, 4, w.Uplinks...)
	for range 20 {
		b.verify().wantOK(t, 2)
	}
	f.wantUndisturbed(t)
	f.wantAlive(t)
	b.recordEgress().wantRepliesFromAll(t, b.Client, world.Kinds)
}

func TestVerifyRunsConcurrentlyWithTheService(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(servedPort)
	b := newBox(t, w)
	s := b.start()
	before := b.lastObservation()
	eventually(t, eventualTimeout, "the service has looked at all that it has done", func() bool {
		last := before
		time.Sleep(time.Second) // four times what passes until it looks at its silent repairs
		before = b.lastObservation()
		return before == last
	})
	const together = 5
	var cmds []*world.Command
	for range together {
		cmd := b.command(t.Context(), "verify")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("one of %d proofs at once: %v", together, err)
		}
	}
	time.Sleep(500 * time.Millisecond) // ten times what the service lets changes gather
	if after := b.lastObservation(); after != before {
		t.Errorf("the service looked at the host again, at %s after %s", after, before)
	}
	b.shell("nft add table inet somebody")
	eventually(t, 20*time.Second, "the service looks again", func() bool { return b.lastObservation() != before })
	s.stop()
}

// lastObservation is when the service looked at the host last.
func (b *box) lastObservation() time.Time {
	b.t.Helper()
	var status health.Status
	r := b.run("status", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &status); err != nil {
		b.t.Fatalf("status: %v: %s", err, r)
	}
	return status.LastRound
}

func TestVerifyWithoutCAPBPFStillQueriesRoutes(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := newBox(t, w)
	b.apply()
	without := []string{"--bounding-set", "-bpf,-sys_admin", "--inh-caps", "-bpf,-sys_admin", binary, "verify", "--config", b.config}
	b.Gateway.Run("ip", "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
	r := b.runCommand(b.Gateway.Command(t.Context(), "setpriv", without...))
	if r.status != 3 || strings.Count(r.stdout, "not-shown") != 4 || !strings.Contains(r.stdout, "CAP_BPF") || !strings.Contains(r.stdout, "rule-missing") {
		t.Errorf("without CAP_BPF: %s", r)
	}
	b.apply()
	r = b.runCommand(b.Gateway.Command(t.Context(), "setpriv", without...))
	if r.status != 0 || strings.Count(r.stdout, "unknown") < 4 {
		t.Errorf("without CAP_BPF, and nothing broken: %s", r)
	}
	// What a unit leaves the service with.
	with := []string{"--bounding-set", "-all,+net_admin,+net_raw,+bpf", "--inh-caps", "-all", binary, "verify", "--json", "--config", b.config}
	if r := b.runCommand(b.Gateway.Command(t.Context(), "setpriv", with...)); r.status != 0 || !strings.Contains(r.stdout, `"result": "yes"`) {
		t.Errorf("with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW: %s", r)
	}
	readable, err := os.MkdirTemp("/run", "verify")
	if err != nil {
		t.Fatal(err)
	}
	b.config = filepath.Join(readable, "replypath.toml")
	b.configure(w.Uplinks...)
	if err := errors.Join(os.Chmod(readable, 0o755), os.Chmod(b.config, 0o644)); err != nil {
		t.Fatal(err)
	}
	user := []string{"--reuid", "65534", "--clear-groups", binary, "verify", "--config", b.config}
	if r := b.runCommand(b.Gateway.Command(t.Context(), "setpriv", user...)); r.status != 1 || !strings.Contains(r.stderr, "root") {
		t.Errorf("as an ordinary user: %s", r)
	}
}

func TestVerifyWorksOnLinksWithoutEthernetHeader(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(servedPort)
	b := newBox(t, w)
	b.Gateway.Run("ip", "tuntap", "add", "tun7", "mode", "tun")
	b.Gateway.Run("ip", "link", "set", "tun7", "up")
	b.Gateway.Run("ip", "addr", "add", "198.18.77.2", "peer", "198.18.77.1", "dev", "tun7")
	b.Gateway.Run("ip", "-6", "addr", "add", "2001:db8:77::2/128", "dev", "tun7", "nodad")
	b.write("[uplinks.tun]\nid = 7\ninterface = \"tun7\"\ngateway = \"auto\"\n")
	b.apply()
	v := b.verify()
	if len(v.Paths) != 2 {
		t.Fatalf("%+v", v)
	}
	for _, p := range v.Paths {
		p.wantOK(t)
	}
}

func TestVerifyTextOutput(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	if r := b.must(0, "verify"); strings.Count(r.stdout, "\n") != 5 || strings.Count(r.stdout, "yes") != 8 || r.stderr != "" {
		t.Errorf("a healthy host: %s", r)
	}
	b.Gateway.Run("ip", "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
	r := b.must(3, "verify")
	for _, want := range []string{"isp1    ipv4    eth1       no     0 right  yes", "isp1 ipv4 asked: no (rule-missing)", "replypath apply"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is missing: %s", want, r)
		}
	}
	b.write("nonsense")
	b.must(2, "verify")
}

// BenchmarkProof is a proof of 31 uplinks in both families, as the program says how long it took.
func BenchmarkProof(b *testing.B) {
	w := world.ISPs(b, 31)
	w.Gateway.ServeTCP(servedPort)
	dir := b.TempDir()
	config := filepath.Join(dir, "replypath.toml")
	var text strings.Builder
	for _, u := range w.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{"--config", config, "--state", dir}
	w.Gateway.Run(binary, append([]string{"apply"}, args...)...)
	var took []float64 // milliseconds
	var questions float64
	for b.Loop() {
		var v struct {
			Result string
			Took   float64 `json:"took_seconds"`
			Paths  []struct{ Questions []struct{} }
		}
		out, _ := w.Gateway.Command(b.Context(), binary, append([]string{"verify", "--json"}, args...)...).Output()
		if err := json.Unmarshal(out, &v); err != nil || v.Result != "yes" {
			b.Fatalf("%v: %s", err, out)
		}
		took, questions = append(took, 1000*v.Took), 0
		for _, p := range v.Paths {
			questions += float64(len(p.Questions))
		}
	}
	requireBound(b, took, "ms/proof", 250)
	b.ReportMetric(questions, "questions")
}
