package verify

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

func TestVerifyKilledOrInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := world.ISPs(t, 4)
		w.Gateway.ServeTCP(box.ServedPort)
		b := box.New(t, w, backend)
		b.Apply()
		began := time.Now()
		b.Verify().WantOK(t, 4)
		whole := time.Since(began)
		wires, before := everyWire(b), box.TakeSnapshot(b.Gateway)
		const times, moments = 60, 13
		caught := 0
		for i := range times {
			cmd := b.Command(t.Context(), "verify")
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
		before.WantSame(t, "killing verify", b.Gateway)
		if half := b.Gateway.Run("ss", "-Htan", "state", "syn-recv"); half != "" {
			t.Errorf("half-open: %s", half)
		}
		wantNoPackets(t, b, wires)
		b.Verify().WantOK(t, 4)
	})
}

func TestVerifyDoesNotDisturbTraffic(t *testing.T) {
	t.Parallel()
	w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{})
	box.ServeAll(w.Gateway)
	b := box.New(t, w)
	b.Apply()
	f := b.StartConnections(t, 4, w.Uplinks...)
	for range 20 {
		b.Verify().WantOK(t, 2)
	}
	f.WantUndisturbed(t)
	f.WantAlive(t)
	b.RecordEgress().WantRepliesFromAll(t, b.Client, world.Kinds)
}

func TestVerifyRunsConcurrentlyWithTheService(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(box.ServedPort)
	b := box.New(t, w)
	s := b.Start()
	before := awaitIdle(t, b)
	const together = 5
	var cmds []*world.Command
	for range together {
		cmd := b.Command(t.Context(), "verify")
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
	after := lastObservation(b)
	if after != before && after.Sub(before) < periodicRound {
		t.Errorf("the service looked at the host again, at %s after %s", after, before)
	}
	before = awaitIdle(t, b)
	b.Shell("nft add table inet others")
	box.Eventually(t, box.EventualTimeout, "the service looks again", func() bool { return lastObservation(b) != before })
	s.Stop()
}

// periodicRound is, nearly, the time after which the service looks at the host without a reason. On a busy machine the proofs can take
// as long.
const periodicRound = 29 * time.Second

// awaitIdle waits until the service has looked at all that it has done, and returns when it did.
func awaitIdle(t *testing.T, b *box.Box) (last time.Time) {
	t.Helper()
	last = lastObservation(b)
	box.Eventually(t, box.EventualTimeout, "the service has looked at all that it has done", func() bool {
		before := last
		time.Sleep(time.Second) // four times what passes until it looks at its silent repairs
		last = lastObservation(b)
		return last == before
	})
	return last
}

// lastObservation returns when the service looked at the host last.
func lastObservation(b *box.Box) time.Time {
	b.T.Helper()
	var status health.Status
	r := b.Run("status", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &status); err != nil {
		b.T.Fatalf("status: %v: %s", err, r)
	}
	return status.LastRound
}

func TestVerifyWithoutCAPBPFStillQueriesRoutes(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := box.New(t, w)
	b.Apply()
	without := []string{"--bounding-set", "-bpf,-sys_admin", "--inh-caps", "-bpf,-sys_admin", box.Binary, "verify", "--config", b.Config}
	b.Gateway.Run("ip", "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
	r := b.RunCommand(b.Gateway.Command(t.Context(), "setpriv", without...))
	if r.Status != 3 || !strings.Contains(r.Stdout, "isp0 ipv4, isp0 ipv6, isp1 ipv4, isp1 ipv6 shown: unknown (not-shown)") || !strings.Contains(r.Stdout, "CAP_BPF") || !strings.Contains(r.Stdout, "rule-missing") {
		t.Errorf("without CAP_BPF: %s", r)
	}
	b.Apply()
	r = b.RunCommand(b.Gateway.Command(t.Context(), "setpriv", without...))
	if r.Status != 0 || strings.Count(r.Stdout, "unknown") < 4 {
		t.Errorf("without CAP_BPF, and nothing broken: %s", r)
	}
	// What a unit leaves the service with.
	with := []string{"--bounding-set", "-all,+net_admin,+net_raw,+bpf", "--inh-caps", "-all", box.Binary, "verify", "--json", "--config", b.Config}
	if r := b.RunCommand(b.Gateway.Command(t.Context(), "setpriv", with...)); r.Status != 0 || !strings.Contains(r.Stdout, `"result": "yes"`) {
		t.Errorf("with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW: %s", r)
	}
	readable, err := os.MkdirTemp("/run", "verify")
	if err != nil {
		t.Fatal(err)
	}
	b.Config = filepath.Join(readable, "replypath.toml")
	b.Configure(w.Uplinks...)
	if err := errors.Join(os.Chmod(readable, 0o755), os.Chmod(b.Config, 0o644)); err != nil {
		t.Fatal(err)
	}
	user := []string{"--reuid", "65534", "--clear-groups", box.Binary, "verify", "--config", b.Config}
	if r := b.RunCommand(b.Gateway.Command(t.Context(), "setpriv", user...)); r.Status != 1 || !strings.Contains(r.Stderr, "root") {
		t.Errorf("as an ordinary user: %s", r)
	}
}

func TestVerifyWorksOnLinksWithoutEthernetHeader(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(box.ServedPort)
	b := box.New(t, w)
	b.Gateway.Run("ip", "tuntap", "add", "tun7", "mode", "tun")
	b.Gateway.Run("ip", "link", "set", "tun7", "up")
	b.Gateway.Run("ip", "addr", "add", "198.18.77.2", "peer", "198.18.77.1", "dev", "tun7")
	b.Gateway.Run("ip", "-6", "addr", "add", "2001:db8:77::2/128", "dev", "tun7", "nodad")
	b.Write("[uplinks.tun]\nid = 7\ninterface = \"tun7\"\ngateway = \"auto\"\n")
	b.Apply()
	v := b.Verify()
	if len(v.Paths) != 2 {
		t.Fatalf("%+v", v)
	}
	for _, p := range v.Paths {
		p.WantOK(t)
	}
}

func TestVerifyTextOutput(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	if r := b.Must(0, "verify"); strings.Count(r.Stdout, "\n") != 5 || strings.Count(r.Stdout, "yes") != 12 || r.Stderr != "" {
		t.Errorf("a healthy host: %s", r)
	}
	b.Gateway.Run("ip", "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
	r := b.Must(0, "verify")
	if want := "isp1    ipv4    eth1       no     0 right  yes    warning"; !strings.Contains(r.Stdout, want) {
		t.Errorf("%q is missing: %s", want, r)
	}
	b.Gateway.Run("ip", "rule", "del", "from", b.Uplinks[1].Addr4.String(), "lookup", "8202")
	r = b.Must(3, "verify")
	for _, want := range []string{"isp1    ipv4    eth1       no     0 right  no     no", "isp1 ipv4 asked: no (rule-missing)", "replypath apply"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("%q is missing: %s", want, r)
		}
	}
	b.Write("nonsense")
	b.Must(2, "verify")
}
