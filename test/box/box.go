package box

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// Box is a gateway with replypath on it, in a world of its own.
type Box struct {
	*world.Internet
	T              *testing.T
	Dir            string
	Config         string       // the file's path
	Settings       []string     // lines of the configuration before the uplinks
	AutoGateway    map[int]bool // the gateways of these uplinks, by their index
	Env            []string     // of the program
	Program        string
	ServiceProgram string   // of the service, such as RaceBinary; empty: Program
	ServiceFlags   []string // of the service
}

// New returns a box around the network, with the configuration of all of its uplinks and these settings.
func New(t *testing.T, w *world.Internet, settings ...string) *Box {
	t.Helper()
	readSources()
	dir := t.TempDir()
	b := &Box{Internet: w, T: t, Dir: dir, Config: filepath.Join(dir, "replypath.toml"), Settings: settings, Program: Binary}
	b.Configure(w.Uplinks...)
	return b
}

// Configure writes a configuration with these uplinks.
func (b *Box) Configure(uplinks ...*world.Uplink) {
	b.T.Helper()
	var text strings.Builder
	for _, line := range b.Settings {
		fmt.Fprintln(&text, line)
	}
	for _, u := range uplinks {
		gateway := fmt.Sprintf("[%q, %q]", u.Router4, u.RouterLL)
		if b.AutoGateway[u.Index] {
			gateway = `"auto"`
		}
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = %s\n", u.Index, u.Index+1, u.Link.Name, gateway)
	}
	b.Write(text.String())
}

func (b *Box) Write(text string) {
	b.T.Helper()
	if err := os.WriteFile(b.Config, []byte(text), 0o600); err != nil {
		b.T.Fatal(err)
	}
}

// Result is what a run of the program gave.
type Result struct {
	Stdout, Stderr string
	Status         int
}

func (r Result) String() string {
	return fmt.Sprintf("exit %d\n%s%s", r.Status, r.Stdout, r.Stderr)
}

// Run runs the program on the gateway.
func (b *Box) Run(args ...string) Result {
	b.T.Helper()
	return b.runContext(b.T.Context(), args...)
}

func (b *Box) runContext(ctx context.Context, args ...string) Result {
	b.T.Helper()
	return b.RunCommand(b.Command(ctx, args...))
}

// Command prepares a run of the program on the gateway.
func (b *Box) Command(ctx context.Context, args ...string) *world.Command {
	args = append(args, "--config", b.Config, "--state", filepath.Join(b.Dir, "state"))
	cmd := b.Gateway.Command(ctx, b.Program, args...)
	if b.Env != nil {
		cmd.Env = b.Env
	}
	return cmd
}

// RunCommand runs the command and returns its output and exit status.
func (b *Box) RunCommand(cmd *world.Command) Result {
	b.T.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.RunThreaded()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.T.Fatalf("run %s: %v", strings.Join(cmd.Args, " "), err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Must runs the program and wants this exit status.
func (b *Box) Must(status int, args ...string) Result {
	b.T.Helper()
	r := b.Run(args...)
	if r.Status != status {
		b.T.Fatalf("replypath %s: want exit %d, got %s", strings.Join(args, " "), status, r)
	}
	return r
}

// Apply applies, and wants the kernel to be in sync afterwards.
func (b *Box) Apply() {
	b.T.Helper()
	b.Must(0, "apply")
	if r := b.Must(0, "plan"); r.Stdout != "" {
		b.T.Fatalf("plan after apply: %s", r)
	}
}

// Backends are both iptables backends, as a line of the configuration.
var Backends = []string{`backend = "nft"`, `backend = "legacy"`}

// EachBackend runs a test once in each backend.
func EachBackend(t *testing.T, test func(t *testing.T, backend string)) {
	for _, line := range Backends {
		_, name, _ := strings.Cut(line, `"`)
		t.Run(strings.TrimSuffix(name, `"`), func(t *testing.T) { test(t, line) })
	}
}

// Nftables is the backend without iptables, as a line of the configuration.
const Nftables = `backend = "nftables"`

// EachFirewall runs a test once in each backend, nftables included. Iptables is then the one on nftables there.
func EachFirewall(t *testing.T, test func(t *testing.T, backend string)) {
	EachBackend(t, test)
	t.Run("nftables", func(t *testing.T) { test(t, Nftables) })
}

// Iptables runs the gateway's iptables command of a family, of the backend that the box is configured for.
func (b *Box) Iptables(family int, args ...string) string {
	b.T.Helper()
	return b.Gateway.Run(b.IptablesName(family), args...)
}

// IptablesName returns the iptables command of the family, 4 or 6, and of the configured backend.
func (b *Box) IptablesName(family int) string {
	name := map[int]string{4: "iptables", 6: "ip6tables"}[family]
	for _, line := range b.Settings {
		if _, backend, ok := strings.Cut(line, `backend = "`); ok {
			return name + "-" + strings.TrimSuffix(strings.TrimSuffix(backend, `"`), "ables")
		}
	}
	return name
}

// FamilyOf returns 4 or 6.
func FamilyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// NobodyUID is the user of that name.
const NobodyUID = 65534

// Shell runs lines of shell on the gateway.
func (b *Box) Shell(lines ...string) {
	b.T.Helper()
	b.Gateway.Run("sh", "-ec", strings.Join(lines, "\n"))
}
