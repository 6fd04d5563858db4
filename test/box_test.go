package test

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

// box is a gateway with replypath on it, in a world of its own.
type box struct {
	*world.Internet
	t            *testing.T
	dir          string
	config       string       // the file's path
	settings     []string     // lines of the configuration before the uplinks
	autoGateway  map[int]bool // the gateways of these uplinks, by their index
	env          []string     // of the program
	program      string
	serviceFlags []string // of the service
}

func newBox(t *testing.T, w *world.Internet, settings ...string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{Internet: w, t: t, dir: dir, config: filepath.Join(dir, "replypath.toml"), settings: settings, program: binary}
	b.configure(w.Uplinks...)
	return b
}

// configure writes a configuration with these uplinks.
func (b *box) configure(uplinks ...*world.Uplink) {
	b.t.Helper()
	var text strings.Builder
	for _, line := range b.settings {
		fmt.Fprintln(&text, line)
	}
	for _, u := range uplinks {
		gateway := fmt.Sprintf("[%q, %q]", u.Router4, u.RouterLL)
		if b.autoGateway[u.Index] {
			gateway = `"auto"`
		}
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = %s\n", u.Index, u.Index+1, u.Link.Name, gateway)
	}
	b.write(text.String())
}

func (b *box) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// result is what a run of the program gave.
type result struct {
	stdout, stderr string
	status         int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n%s%s", r.status, r.stdout, r.stderr)
}

// run runs the program on the gateway.
func (b *box) run(args ...string) result {
	b.t.Helper()
	return b.runContext(b.t.Context(), args...)
}

func (b *box) runContext(ctx context.Context, args ...string) result {
	b.t.Helper()
	return b.runCommand(b.command(ctx, args...))
}

// command prepares a run of the program on the gateway.
func (b *box) command(ctx context.Context, args ...string) *world.Command {
	args = append(args, "--config", b.config, "--state", filepath.Join(b.dir, "state"))
	cmd := b.Gateway.Command(ctx, b.program, args...)
	if b.env != nil {
		cmd.Env = b.env
	}
	return cmd
}

func (b *box) runCommand(cmd *world.Command) result {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("run %s: %v", strings.Join(cmd.Args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the program and wants this exit status.
func (b *box) must(status int, args ...string) result {
	b.t.Helper()
	r := b.run(args...)
	if r.status != status {
		b.t.Fatalf("replypath %s: want exit %d, got %s", strings.Join(args, " "), status, r)
	}
	return r
}

// apply applies, and wants the kernel to be in sync afterwards.
func (b *box) apply() {
	b.t.Helper()
	b.must(0, "apply")
	if r := b.must(0, "plan"); r.stdout != "" {
		b.t.Fatalf("plan after apply: %s", r)
	}
}

// backends are both iptables backends, as a line of the configuration.
var backends = []string{`backend = "nft"`, `backend = "legacy"`}

// eachBackend runs a test once in each backend.
func eachBackend(t *testing.T, test func(t *testing.T, backend string)) {
	for _, line := range backends {
		_, name, _ := strings.Cut(line, `"`)
		t.Run(strings.TrimSuffix(name, `"`), func(t *testing.T) { test(t, line) })
	}
}

// iptables runs the gateway's iptables command of a family, of the backend that the box is configured for.
func (b *box) iptables(family int, args ...string) string {
	b.t.Helper()
	return b.Gateway.Run(b.iptablesName(family), args...)
}

func (b *box) iptablesName(family int) string {
	name := map[int]string{4: "iptables", 6: "ip6tables"}[family]
	for _, line := range b.settings {
		if _, backend, ok := strings.Cut(line, `backend = "`); ok {
			return name + "-" + strings.TrimSuffix(backend, `"`)
		}
	}
	return name
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}
