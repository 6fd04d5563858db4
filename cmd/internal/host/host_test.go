package host_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

var backends = []marks.Backend{marks.NFT, marks.Legacy, marks.Nftables}

func TestConformance(t *testing.T) {
	for _, backend := range backends {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			uplinkstest.Conformance(t, func(t *testing.T) uplinkstest.World { return newKernelWorld(t, backend) })
		})
	}
}

// kernelWorld is the kernel of a host in a world of its own.
type kernelWorld struct {
	gateway *world.Host
	host    *host.Host
	tables  []string // the commands that save what the iptables commands wrote
}

func newKernelWorld(t *testing.T, backend marks.Backend) *kernelWorld {
	t.Helper()
	w := world.New(t)
	r := &kernelWorld{gateway: w.Host("gw")}
	for _, in := range uplinkstest.Interfaces() {
		link, _ := w.Join(r.gateway, in.Name, w.Host("isp"), in.Name)
		for _, p := range in.Prefixes {
			link.Addr(p.String())
		}
		for _, router := range in.Routers {
			r.gateway.AddRoute(world.Route{To: uplinks.FamilyOf(router).DefaultPrefix(), Via: router, Link: link})
		}
	}
	r.gateway.SetSysctl("net.ipv4.tcp_fwmark_accept", "0")
	others := backend
	if backend == marks.Nftables {
		others = marks.NFT
	}
	for _, base := range []string{"iptables", "ip6tables"} {
		r.tables = append(r.tables, base+"-"+string(others)+"-save")
	}
	r.host = openHost(t, r.gateway, host.Options{StateDir: t.TempDir(), Backend: backend, TableBase: uplinks.DefaultTableBase})
	return r
}

// openHost opens the host for reading and writing, until the test ends.
func openHost(t *testing.T, gateway *world.Host, o host.Options) *host.Host {
	t.Helper()
	var h *host.Host
	var err error
	gateway.Do(func() {
		if h, err = host.Open(t.Context(), o); err == nil {
			err = h.Lock(t.Context())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func (r *kernelWorld) Observe(ctx context.Context, only ...uplinks.Scope) (f uplinks.Facts, s uplinks.State, err error) {
	r.gateway.Do(func() { f, s, err = r.host.Observe(ctx, only...) })
	return f, s, err
}

func (r *kernelWorld) Apply(ctx context.Context, s uplinks.Step) (err error) {
	r.gateway.Do(func() { err = r.host.Apply(ctx, s) })
	return err
}

func (r *kernelWorld) ApplyAll(ctx context.Context, steps []uplinks.Step) (errs []error) {
	r.gateway.Do(func() { errs = r.host.ApplyAll(ctx, steps) })
	return errs
}

// ApplyForeign runs the commands in a shell: so plans are proven to be valid shell commands.
func (r *kernelWorld) ApplyForeign(t testing.TB, command fmt.Stringer) {
	t.Helper()
	r.gateway.Run("sh", "-ec", command.String())
}

func (r *kernelWorld) DumpForeign(t testing.TB) string {
	t.Helper()
	var lines []string
	keep := func(from, text string, wanted func(line string) bool) {
		for line := range strings.Lines(text) {
			if wanted(line) {
				// Whether a goto finds a rule at its target is no part of the rule.
				line = strings.ReplaceAll(line, "[unresolved] ", "")
				lines = append(lines, from+": "+strings.TrimSpace(line))
			}
		}
	}
	foreign := func(line string) bool { return !strings.Contains(line, " proto 82") }
	for _, family := range []string{"-4", "-6"} {
		keep("rule "+family, r.gateway.Run("ip", "-N", family, "rule"), foreign)
		keep("route "+family, r.gateway.Run("ip", "-N", family, "route", "show", "table", "all"), foreign)
	}
	for _, save := range r.tables {
		keep(save, r.gateway.Run(save), func(line string) bool {
			return strings.HasPrefix(line, "-A") && !strings.Contains(line, marks.Prefix)
		})
	}
	return strings.Join(lines, "\n")
}
