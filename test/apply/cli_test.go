package apply

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestInitProposesAWorkingConfiguration(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Gateway.Run("sh", "-ec", `ip route add default via 192.0.2.1 dev eth1 metric 200 proto dhcp
ip -6 route add default via fe80::1 dev eth1 metric 1000 proto ra
ip route add 203.0.113.0/24 via 198.18.0.9 dev lan0`)
	os.Remove(b.Config)
	proposal := b.Must(0, "init").Stdout
	if _, err := os.Stat(b.Config); err == nil {
		t.Error("init without --write writes")
	}
	for _, want := range []string{"\n[uplinks.eth0]", "\n[uplinks.eth1]", "\n#[uplinks.lan0]", "\n#[uplinks.eth1.probes.internet]", `"auto"`, "198.51.100.1", "198.18.0.9", `inside = ["lan0"]`} {
		if !strings.Contains(proposal, want) {
			t.Errorf("the proposal has no %s:\n%s", want, proposal)
		}
	}
	if r := b.Must(0, "init", "--write"); !strings.Contains(r.Stdout, "replypath check") || !strings.Contains(r.Stdout, "replypath apply --confirm") {
		t.Errorf("init --write does not name the next commands: %s", r.Stdout)
	}
	if text, _ := os.ReadFile(b.Config); string(text) != proposal {
		t.Errorf("init --write writes something else than it shows:\n%s", text)
	}
	b.Must(0, "check")
	b.Apply()
	b.Must(0, "flush")
	b.Write("mine")
	if r := b.Must(1, "init", "--write"); !strings.Contains(r.Stderr, "already exists") {
		t.Error(r)
	}
	if text, _ := os.ReadFile(b.Config); string(text) != "mine" {
		t.Errorf("init --write overwrites: %s", text)
	}
}

func TestJSONOutput(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	has := func(status int, keys []string, args ...string) map[string]any {
		t.Helper()
		var got map[string]any
		r := b.Must(status, args...)
		if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
			t.Fatalf("%v: %v: %s", args, err, r)
		}
		for _, key := range keys {
			if got[key] == nil {
				t.Errorf("%v: no %q in %s", args, key, r.Stdout)
			}
		}
		return got
	}
	one := func(got map[string]any, command string) {
		t.Helper()
		if got["version"] != 1.0 {
			t.Errorf("%s --json has version %v", command, got["version"])
		}
	}
	one(has(0, []string{"valid", "mistakes", "warnings"}, "check", "--json"), "check")
	one(has(3, []string{"in_sync", "steps", "warnings"}, "plan", "--json"), "plan")
	one(has(0, []string{"changed", "steps", "warnings"}, "apply", "--json"), "apply")
	one(has(0, []string{"in_sync", "steps"}, "plan", "--json"), "plan in sync")
	one(has(0, []string{"changed", "steps"}, "flush", "--json"), "flush")
	has(0, []string{"version", "go", "platform"}, "version", "--json")
	b.Write("mask = 5\nmusk = 8\n")
	got := has(2, []string{"mistakes"}, "check", "--json")
	one(got, "check of mistakes")
	if got["valid"] != false || len(got["mistakes"].([]any)) < 2 {
		t.Errorf("check --json of mistakes: %v", got)
	}
}

func TestUsageErrorsExitWithTwo(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	for _, args := range [][]string{{"aply"}, {"apply", "--nosuch"}, {"plan", "extra"}, {"--nosuch"}, {"check", "--json=perhaps"}} {
		r := b.Must(2, args...)
		if !strings.Contains(r.Stderr, "replypath") || !strings.Contains(r.Stderr, "--help") || r.Stdout != "" {
			t.Errorf("%v gives no hint: %s", args, r)
		}
	}
	for flag, other := range map[string][]string{"--state": {"--config", b.Config}, "--config": {"--state", b.Dir}} {
		if r := b.RunCommand(b.Gateway.Command(t.Context(), b.Program, append(other, "apply", flag, "")...)); r.Status != 2 || !strings.Contains(r.Stderr, flag) {
			t.Errorf("an empty %s: %s", flag, r)
		}
	}
	os.Remove(b.Config)
	for _, command := range []string{"check", "plan", "apply"} {
		if r := b.Must(2, command); !strings.Contains(r.Stderr, b.Config) || !strings.Contains(r.Stderr, "init --write") {
			t.Errorf("%s without a configuration gives no remedy: %s", command, r)
		}
	}
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	help := b.Must(0, "--help").Stdout
	for _, command := range []string{"init", "check", "plan", "apply", "flush", "version"} {
		if !strings.Contains(help, command) {
			t.Errorf("help does not name %s", command)
		}
		if r := b.Must(0, command, "--help"); !strings.Contains(r.Stdout, "Usage:") || !strings.Contains(r.Stdout, "--config") {
			t.Errorf("help of %s: %s", command, r)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := b.Must(0, "completion", shell); !strings.Contains(r.Stdout, "replypath") || len(r.Stdout) < 1000 {
			t.Errorf("completion for %s: %s", shell, r)
		}
	}
}

// Whatever is wrong with a configuration, no command that reads it touches the host.
func TestInvalidConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	before := box.TakeSnapshot(b.Gateway)
	files, err := filepath.Glob("../../cmd/internal/config/testdata/bad-*")
	if err != nil || len(files) < 20 {
		t.Fatalf("bad configurations: %v, %v", files, err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".txt" {
			continue
		}
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(path) == "" {
			path = filepath.Join(path, "replypath.toml")
		}
		b.Config = path
		for _, command := range []string{"check", "plan", "apply"} {
			if r := b.Must(2, command); r.Stderr == "" || r.Stdout != "" {
				t.Errorf("%s of %s: %s", command, filepath.Base(file), r)
			}
		}
	}
	before.WantSame(t, "bad configurations", b.Gateway)
}

func TestAutoGatewayFollowsRoutes(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, lines, want string }{
		{"a static default route", "ip route add default via 192.0.2.1 dev eth1 metric 9", "default via 192.0.2.1 dev eth1 src 192.0.2.2 table 8202"},
		{"by DHCP", "ip route add default via 192.0.2.7 dev eth1 metric 9 proto dhcp", "default via 192.0.2.7 dev eth1"},
		{"in another table", "ip route add default via 192.0.2.5 dev eth1 table 77", "default via 192.0.2.5 dev eth1"},
		{"by a router advertisement", "ip -6 route add default via fe80::7 dev eth1 metric 1000 proto ra", "default via fe80::7 dev eth1 table 8202"},
		{"one of many hops", "ip route add default metric 9 nexthop via 198.51.100.1 dev eth0 nexthop via 192.0.2.1 dev eth1 weight 3", "default via 192.0.2.1 dev eth1"},
		{"outside every prefix", "ip route add default via 203.0.113.1 dev eth1 onlink metric 9", "default via 203.0.113.1 dev eth1 table 8202 onlink"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := box.New(t, world.TwoISPs(t))
			b.Write("[uplinks.auto]\nid = 2\ninterface = \"eth1\"\ngateway = \"auto\"\n")
			b.Gateway.Run("sh", "-ec", c.lines)
			if r := b.Must(3, "plan"); !strings.Contains(r.Stdout, "route replace "+c.want) {
				t.Errorf("want %q in %s", c.want, r.Stdout)
			}
			b.Apply()
		})
	}
}

func TestPointToPointLinkNeedsNoGateway(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Write("[uplinks.ppp]\nid = 3\ninterface = \"tun7\"\ngateway = \"auto\"\n")
	b.Gateway.Run("sh", "-ec", "ip tuntap add mode tun tun7; ip addr add 203.0.113.77 peer 203.0.113.78 dev tun7; ip link set tun7 up")
	if r := b.Must(3, "plan"); !strings.Contains(r.Stdout, "ip route replace default dev tun7 scope link src 203.0.113.77 table 8203 protocol 82") {
		t.Error(r)
	}
	b.Apply()
}

func TestGatewayChangeIsOneReplace(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Write("[uplinks.auto]\nid = 2\ninterface = \"eth1\"\ngateway = \"auto\"\n")
	b.Gateway.Run("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "eth1", "metric", "9")
	b.Apply()
	b.Gateway.Run("ip", "route", "replace", "default", "via", "192.0.2.7", "dev", "eth1", "metric", "9")
	want := []string{"ip route replace default via 192.0.2.7 dev eth1 src 192.0.2.2 table 8202 protocol 82"}
	warning := func(line string) bool { return strings.HasPrefix(line, "#") }
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(b.Must(3, "plan").Stdout), "\n"), warning)
	if !slices.Equal(got, want) {
		t.Errorf("plan: %q", got)
	}
	b.Apply()
}
