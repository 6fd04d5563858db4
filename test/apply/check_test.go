package apply

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// warnings returns those of check, each on its line.
func warnings(r box.Result) (all []string) {
	for line := range strings.Lines(r.Stderr) {
		if warning, is := strings.CutPrefix(line, "warning: "); is {
			all = append(all, warning)
		}
	}
	return all
}

// wantWarning wants one warning that holds all the words, and gives how many warnings there are.
func wantWarning(r box.Result, t *testing.T, words ...string) int {
	t.Helper()
	all := warnings(r)
	for _, warning := range all {
		missing := 0
		for _, word := range words {
			if !strings.Contains(warning, word) {
				missing++
			}
		}
		if missing == 0 {
			return len(all)
		}
	}
	t.Errorf("no warning with %q in\n%s", words, r)
	return len(all)
}

const probesOfBothFamilies = "probes.a.target = \"icmp://192.0.2.77\"\nprobes.b.target = \"icmp://[2001:db8::77]\"\n"

// checkWith writes these lines, and a configuration of the uplinks that ends in the lines of each, and checks it.
func checkWith(b *box.Box, top string, each ...string) box.Result {
	b.T.Helper()
	for i, u := range b.Uplinks {
		lines := probesOfBothFamilies
		if i < len(each) {
			lines = each[i]
		}
		top += fmt.Sprintf("[uplinks.%s]\nid = %d\ngateway = [%q, %q]\n%s", u.Link.Name, u.Index+1, u.Router4, u.Router6, lines)
	}
	b.Write(top)
	return b.Must(0, "check")
}

func TestCheckPrintsDetectionTimes(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	r := checkWith(b, "probes.interval = \"2s\"\n", "", probesOfBothFamilies+"probes.a.timeout = \"3s\"\n")
	for _, line := range []string{
		"uplink eth0: a failure is detected within 3.2s\n",
		"uplink eth1: a failure is detected within 8.2s (IPv4), 4.2s (IPv6)\n",
	} {
		if !strings.Contains(r.Stdout, line) {
			t.Errorf("check does not say %q: %s", line, r)
		}
	}
	var got struct {
		Uplinks []struct {
			Name string             `json:"name"`
			Down map[string]float64 `json:"down_after_seconds"`
		} `json:"uplinks"`
	}
	if err := json.Unmarshal([]byte(b.Must(0, "check", "--json").Stdout), &got); err != nil {
		t.Fatal(err)
	}
	if u := got.Uplinks; len(u) != 2 || u[0].Name != "eth0" || u[0].Down["ipv4"] != 3.2 || u[1].Down["ipv4"] != 8.2 || u[1].Down["ipv6"] != 4.2 {
		t.Errorf("check --json: %v", got)
	}
	b.Write("mask = 5\n")
	if r := b.Must(2, "check", "--json"); !strings.Contains(r.Stdout, `"uplinks": []`) {
		t.Errorf("check --json of mistakes: %s", r)
	}
}

func TestCheckPrintsFailoverTimes(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	policies := `outbound = { default = "all", policies = { all = { tiers = [["eth0", "eth1"]] } }, rules = { a = { dport = 25, use = "eth1" } } }` + "\n"
	r := checkWith(b, policies+"probes.interval = \"2s\"\n", "", probesOfBothFamilies+"probes.a.timeout = \"3s\"\n")
	for _, line := range []string{
		"policy all: after a silent failure, new connections take another uplink within 8.2s (IPv4), 4.2s (IPv6)\n",
		"policy eth1: after a silent failure of its only uplink, its last resort is used within 8.2s (IPv4), 4.2s (IPv6)\n",
	} {
		if !strings.Contains(r.Stdout, line) {
			t.Errorf("check does not say %q: %s", line, r)
		}
	}
	var got struct {
		Policies []struct {
			Name     string             `json:"name"`
			After    map[string]float64 `json:"failover_after_seconds"`
			Unprobed []string           `json:"unprobed"`
		} `json:"policies"`
	}
	if err := json.Unmarshal([]byte(b.Must(0, "check", "--json").Stdout), &got); err != nil {
		t.Fatal(err)
	}
	if p := got.Policies; len(p) != 2 || p[0].Name != "all" || p[0].After["ipv4"] != 8.2 || p[0].After["ipv6"] != 4.2 || len(p[0].Unprobed) != 0 {
		t.Errorf("check --json: %+v", got)
	}
}

func TestCheckWarnsOfMonitoringGaps(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	if r := checkWith(b, ""); len(warnings(r)) != 0 {
		t.Errorf("uplinks that are watched well: %s", r)
	}
	for _, c := range []struct {
		top, uplink string
		words       []string
	}{
		{"", "", []string{"uplink eth0 has no probe: only its gateway is probed", "[uplinks.eth0.probes.NAME]"}},
		{"", `probes.a.target = "icmp://192.0.2.77"`, []string{"uplink eth0 has no probe for IPv6"}},
		{"", `probes.a.target = "gateway"`, []string{"uplink eth0 probes its gateway only"}},
		{"", "probes.a.target = \"gateway\"\nprobes.b.target = \"icmp://example.net\"", []string{"uplink eth0 is up when only its gateway answers", "quorum = 2"}},
		{`prove = ["tcp://192.0.2.77:80"]`, probesOfBothFamilies, []string{"no uplink has the address 192.0.2.77"}},
		{`proof.source = "192.0.2.2"`, probesOfBothFamilies, []string{"192.0.2.2 of [proof] is an address of this host, on eth1"}},
	} {
		if r := checkWith(b, c.top+"\n", c.uplink+"\n"); wantWarning(r, t, c.words...) != 1 {
			t.Errorf("%s %s: not one warning: %s", c.top, c.uplink, r)
		}
	}
	r := checkWith(b, "endpoint.listen = \"0.0.0.0:9717\"\n")
	if wantWarning(r, t, "listens at 0.0.0.0:9717", "requires no token") != 2 {
		t.Errorf("not two warnings: %s", r)
	}
	wantWarning(r, t, "listens at 0.0.0.0:9717", "without TLS")
}

func TestCheckWarnsOfUnsafeFiles(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	file := filepath.Join(b.Dir, "file")
	change := func(mode os.FileMode, owner int) {
		if err := os.WriteFile(file, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, owner, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		key   string
		mode  os.FileMode
		owner int
		words []string // of the warning; none: there is no warning
	}{
		{"on_change", 0o755, 0, nil},
		{"on_change", 0o644, 0, []string{"is not executable", "chmod +x"}},
		{"on_change", 0o775, 0, []string{"can be modified by users other than root", "chmod go-w"}},
		{"on_change", 0o755, 65534, []string{"can be modified by users other than root", "chown root"}},
		{"token_file", 0o600, 0, nil},
		{"token_file", 0o644, 0, []string{"can be read by every user", "chmod o-r"}},
	} {
		change(c.mode, c.owner)
		line := fmt.Sprintf("on_change = [%q]\n", file)
		if c.key == "token_file" {
			line = fmt.Sprintf("endpoint.token_file = %q\n", file)
		}
		r := checkWith(b, line)
		if c.words == nil && len(warnings(r)) != 0 || c.words != nil && wantWarning(r, t, append(c.words, c.key, file)...) != 1 {
			t.Errorf("%s with mode %o of %d: %s", c.key, c.mode, c.owner, r)
		}
	}
	wantWarning(checkWith(b, "on_change = [\"/absent\"]\n"), t, "on_change: ", "/absent", "no such file")
	wantWarning(checkWith(b, "endpoint = { tls_cert = \"/absent\", tls_key = \"/dev/null\" }\n"), t, "tls_key: /dev/null is not a regular file")
	change(0o755, 0)
	if err := os.Chmod(b.Dir, 0o775); err != nil {
		t.Fatal(err)
	}
	wantWarning(checkWith(b, fmt.Sprintf("on_change = [%q]\n", file)), t, b.Dir+" can be modified by users other than root")
	if err := os.Chmod(b.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if r := b.Must(1, "check"); !strings.Contains(r.Stderr, "every user can write to "+b.Dir) || !strings.Contains(r.Stderr, "chmod o-w "+b.Dir) {
		t.Errorf("a configuration that every user can replace: %s", r)
	}
}
