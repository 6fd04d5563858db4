package killed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/snapshot"
)

// killedRunEnv has the test binary run the killedRun that is its value.
const killedRunEnv = "REPLYPATH_CRASH"

// killedRun is a sync that is killed after some writes.
type killedRun struct {
	State    string
	After    int // writes
	Settings uplinks.Settings
	Undo     *snapshot.Undo // a restore, and no sync; with Back it is undone
	Back     bool
}

// killedKernel kills the process after writesLeft writes.
type killedKernel struct {
	uplinks.Kernel
	writesLeft int
}

func (m *killedKernel) Apply(ctx context.Context, s uplinks.Step) error {
	m.killIfDone()
	m.writesLeft--
	err := m.Kernel.Apply(ctx, s)
	m.killIfDone()
	return err
}

func (m *killedKernel) killIfDone() {
	if m.writesLeft == 0 {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal
	}
}

// runKilledProcess runs the killedRun of the environment, if there is one, and exits.
func runKilledProcess() {
	text, exists := os.LookupEnv(killedRunEnv)
	if !exists {
		return
	}
	var c killedRun
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run(func(h *host.Host) error {
			k := &killedKernel{h, c.After}
			if c.Undo != nil {
				return c.restore(k, h)
			}
			_, err := uplinks.Sync(context.Background(), k, c.Settings)
			return err
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run calls do with the locked host.
func (c killedRun) run(do func(h *host.Host) error) error {
	ctx := context.Background()
	h, err := host.Open(ctx, host.Options{StateDir: c.State, Backend: c.Settings.Backend, TableBase: c.Settings.TableBase, Settings: c.Settings})
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.Lock(ctx); err != nil {
		return err
	}
	return do(h)
}

func TestKillAtAnyWriteIsRepairedAndBreaksNoConnection(t *testing.T) {
	for _, test := range []struct {
		name    string
		backend marks.Backend
		from    int // uplinks before
		to      int
		damage  []string
	}{
		{name: "apply from nothing", backend: marks.NFT, from: 0, to: 2},
		{name: "an uplink is added", backend: marks.Legacy, from: 1, to: 2},
		{name: "an uplink is removed", backend: marks.NFT, from: 2, to: 1},
		{name: "apply from nothing by nftables", backend: marks.Nftables, from: 0, to: 2},
		{name: "repair", backend: marks.Legacy, from: 2, to: 2, damage: []string{
			"ip rule flush protocol 82", "ip route flush table 8202", "iptables-legacy -w -t mangle -F REPLYPATH-NEW",
			"ip6tables-legacy -w -t mangle -D PREROUTING -j REPLYPATH-PRE", "ip link set eth1 group 0", "sysctl -qw net.ipv4.tcp_fwmark_accept=0",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newConnectedHost(t, test.backend)
			writes := 0
			for killed := true; killed; writes++ {
				s.sync(s.settings(test.from))
				for _, line := range test.damage {
					s.w.Gateway.Run("sh", "-c", line)
				}
				killed = s.kill(writes, s.settings(test.to))
				s.checkConnections(fmt.Sprintf("killed after %d writes", writes))
				if writes%2 == 0 {
					s.sync(s.settings(test.to))
					s.checkConnections(fmt.Sprintf("repaired after %d writes", writes))
				}
				if writes%8 == 0 {
					s.flush(fmt.Sprintf("killed after %d writes", writes))
				}
			}
			s.flush("the last")
			t.Logf("killed at each of %d writes", writes-1)
			if writes < 8 {
				t.Error("there were fewer than 8 writes")
			}
		})
	}
}

// connectedHost is a host with connections that must survive every change.
type connectedHost struct {
	t           *testing.T
	w           *world.Internet
	backend     marks.Backend
	state       string
	initial     string
	connections map[string]*world.Connections
	strays      []*world.Recorder
}

const connectionsPerAddress = 5 // of each kind

func newConnectedHost(t *testing.T, backend marks.Backend) *connectedHost {
	t.Helper()
	s := &connectedHost{t: t, w: world.TwoISPs(t), backend: backend, state: t.TempDir(), connections: map[string]*world.Connections{}}
	gateway := s.w.Gateway
	gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	gateway.ServeTCP(7000)
	s.w.LAN.ServeTCP(7001)
	for command, to := range map[string]netip.Addr{"iptables-": s.w.LAN4, "ip6tables-": s.w.LAN6} {
		gateway.Run(command+strings.TrimSuffix(string(backend), "ables"), "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "7001", "-j", "DNAT", "--to", to.String())
		if backend == marks.Legacy {
			gateway.Run(command+"legacy", "-t", "mangle", "-S")
		}
	}
	for _, u := range s.w.Uplinks {
		s.strays = append(s.strays, u.Refused.Record(func(p world.Packet) bool {
			return p.Dir == world.Out && p.Family != 0 && !p.Src.IsLinkLocalUnicast() && !p.Src.IsUnspecified()
		}))
	}
	for _, to := range s.w.Uplinks[0].Addrs() { // of the default uplink, whose replies are right without replypath
		for _, port := range []uint16{7000, 7001} {
			q := world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(to, port)}
			c, err := s.w.Client.Connect(q, connectionsPerAddress)
			if err != nil {
				t.Fatal(err)
			}
			s.connections[q.To.String()] = c
		}
	}
	s.initial = s.snapshot()
	return s
}

func (s *connectedHost) settings(n int) uplinks.Settings {
	if n == 0 {
		return uplinks.Settings{Backend: s.backend}
	}
	all := uplinks.DefaultSettings()
	all.Backend = s.backend
	for _, u := range s.w.Uplinks[:n] {
		all.Uplinks = append(all.Uplinks, uplinks.Uplink{
			Name: u.Link.Name, ID: marks.ID(u.Index + 1), Link: u.Link.Name, WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: u.Router4}, Gateway6: uplinks.Gateway{Addr: u.RouterLL},
		})
	}
	return all
}

// sync applies the settings in this process, with a new Host.
func (s *connectedHost) sync(to uplinks.Settings) {
	s.t.Helper()
	var err error
	s.w.Gateway.Do(func() {
		err = killedRun{State: s.state, Settings: to}.run(func(h *host.Host) error {
			_, err := uplinks.Sync(context.Background(), h, to)
			return err
		})
	})
	if err != nil {
		s.t.Fatalf("sync: %v", err)
	}
}

// kill applies the settings in another process that is killed after some writes. It returns false if there were fewer.
func (s *connectedHost) kill(after int, to uplinks.Settings) bool {
	s.t.Helper()
	return s.killRun(killedRun{State: s.state, After: after, Settings: to})
}

// killRun executes the run in another process. It returns false if that ended before it was killed.
func (s *connectedHost) killRun(c killedRun) bool {
	s.t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := s.w.Gateway.Command(s.t.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), killedRunEnv+"="+string(text))
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		s.t.Fatalf("%v: %s", err, output)
	}
	return false
}

// checkConnections requires that all connections are alive, and that the state files are readable.
func (s *connectedHost) checkConnections(when string) {
	s.t.Helper()
	for to, c := range s.connections {
		if n := c.Alive(2 * time.Minute); n != connectionsPerAddress {
			s.t.Fatalf("%s: %d of %d connections to %s live", when, n, connectionsPerAddress, to)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.state, "*.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil || !json.Valid(text) {
			s.t.Errorf("%s: %s is not JSON: %v\n%s", when, path, err, text)
		}
	}
}

// flush removes everything and requires the host as it was at first, without a packet that left by the wrong uplink.
func (s *connectedHost) flush(when string) {
	s.t.Helper()
	s.sync(s.settings(0))
	s.checkConnections(when + ", and flushed")
	if now := s.snapshot(); now != s.initial {
		s.t.Fatalf("%s: a flush leaves\n%s\nof\n%s", when, now, s.initial)
	}
	s.w.Settle()
	for i, r := range s.strays {
		if packets := r.Packets(); len(packets) != 0 {
			s.t.Fatalf("%s: %d packets strayed by eth%d; the first: %s", when, len(packets), i, packets[0])
		}
	}
}

func (s *connectedHost) snapshot() string {
	s.t.Helper()
	var all strings.Builder
	for _, line := range []string{
		"ip -4 rule", "ip -6 rule", "ip neigh show nud permanent", "ip -4 route show table all", "ip -6 route show table all", "ip -o link", "nft -s list ruleset",
		"iptables-legacy-save", "ip6tables-legacy-save", "sysctl -a -r 'src_valid_mark|fwmark'",
	} {
		for out := range strings.Lines(s.w.Gateway.Run("sh", "-c", line)) {
			if !strings.HasPrefix(out, "#") && !strings.HasPrefix(out, ":") {
				all.WriteString(out)
			}
		}
	}
	return all.String()
}
