//go:build boot

package boot

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// intruder is the variable by which this program, run in the machine by an ordinary user, gets its targets.
const intruder = "REPLYPATH_INTRUDER"

// unprivilegedUserIsRefused wants that an ordinary user can write to nothing of ours, and can reach nothing but the endpoint.
func (m *machine) unprivilegedUserIsRefused() {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	program := m.disk.put(self)
	m.run("install", "-m", "755", program, "/usr/local/bin/intruder")
	all := m.targets()
	text, err := json.Marshal(all)
	if err != nil {
		m.t.Fatal(err)
	}
	before := m.ours()
	attempt := []string{"env", intruder + "=" + string(text), "/usr/local/bin/intruder"}
	ordinary := []string{"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"}
	if done := m.run(append(ordinary, attempt...)...); done != "" {
		m.t.Errorf("an ordinary user can\n%s", done)
	}
	if after := m.ours(); after != before {
		m.t.Errorf("it has changed from\n%s\nto\n%s", before, after)
	}
	if _, err := m.try(append(ordinary, "replypath", "status")...); err == nil {
		m.t.Error("an ordinary user reaches the control socket")
	}
	m.run("rm", program, "/usr/local/bin/intruder")
	m.listens()
}

// targets finds what there is of ours.
func (m *machine) targets() targets {
	m.t.Helper()
	pid, _ := strconv.Atoi(m.pid())
	names := m.names()
	for _, must := range []string{"@replypath", "/run/replypath/"} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, must) }) {
			m.t.Errorf("the service has no unix socket %s, of %v", must, names)
		}
	}
	files := strings.Fields(m.run("sh", "-c", `dpkg --listfiles replypath | while read -r f; do [ -d "$f" ] || echo "$f"; done; find /run/replypath /etc/replypath`))
	t := targets{Pid: pid, Sockets: names, Files: append(files, "/run/xtables.lock", "/etc/iproute2/rt_tables.d", "/etc/iproute2/rt_tables.d/replypath.conf"),
		Secrets: strings.Fields(m.run("find", "/run/replypath", "/run/xtables.lock"))}
	for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/uplinks", "/uplinks/isp1", "/metrics", "/events", "/reload"} {
		t.URLs = append(t.URLs, "http://127.0.0.1:9717"+path)
	}
	if len(t.Secrets) < 3 {
		m.t.Errorf("what the service remembers: %v", t.Secrets)
	}
	return t
}

// names returns those of the unix sockets that the service holds.
func (m *machine) names() (names []string) {
	m.t.Helper()
	held := map[string]bool{}
	for _, found := range regexp.MustCompile(`socket:\[(\d+)\]`).FindAllStringSubmatch(m.run("ls", "-l", "/proc/"+m.pid()+"/fd"), -1) {
		held[found[1]] = true
	}
	for line := range strings.Lines(m.run("cat", "/proc/net/unix")) {
		if f := strings.Fields(line); len(f) == 8 && held[f[6]] && !slices.Contains(names, f[7]) {
			names = append(names, f[7])
		}
	}
	return names
}

// ours returns what an ordinary user must not have changed.
func (m *machine) ours() string {
	return m.pid() + m.run("sh", "-c", "ip rule; ip -6 rule; iptables -t mangle -S; ip6tables -t mangle -S; find /run/replypath /etc/replypath /etc/iproute2 | sort; find /etc/replypath -type f -exec sha256sum {} +")
}

// listens wants no socket to take what comes from anywhere, but the endpoint's. Those for IPv4 and IPv6 as such, and for
// whole frames, see only what an ordinary user has no right to send them.
func (m *machine) listens() {
	m.t.Helper()
	found := false
	for line := range strings.Lines(m.run("ss", "--listening", "--tcp", "--udp", "--raw", "--packet", "--no-header", "--numeric", "--processes")) {
		if !strings.Contains(line, `"replypath"`) {
			continue
		}
		m.t.Log(strings.TrimSpace(line))
		switch endpoint := strings.Contains(line, "127.0.0.1:9717"); {
		case endpoint:
			found = true
		case strings.HasPrefix(line, "tcp"), strings.HasPrefix(line, "udp"):
			m.t.Errorf("the service listens: %s", line)
		}
	}
	if !found {
		m.t.Error("the endpoint does not listen")
	}
}
