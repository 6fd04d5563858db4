package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// shorewall is a Shorewall for one family on a gateway. Everything of its configuration but its providers, which are
// tracked, is as small as a firewall can be.
type shorewall struct {
	*gateway
	family  family
	backend string
	folder  string
}

// withShorewall sets the gateway up with one for each family.
func (g *gateway) withShorewall(backend string) {
	for _, f := range families {
		s := newShorewall(g, f, backend)
		s.run(s.program(), "compile", s.folder, s.firewall())
		s.run(s.firewall(), "start")
	}
}

func newShorewall(g *gateway, f family, backend string) shorewall {
	s := shorewall{g, f, backend, filepath.Join(g.folder, f.String())}
	must(os.MkdirAll(filepath.Join(s.folder, "var"), 0o755), "%s: shorewall's state", g.name)
	s.write()
	return s
}

// program compiles a configuration.
func (s shorewall) program() string {
	if s.family == 6 {
		return "shorewall6"
	}
	return "shorewall"
}

// firewall returns the program that comes of it.
func (s shorewall) firewall() string { return filepath.Join(s.folder, "firewall") }

func (s shorewall) run(name string, args ...string) {
	c := s.host.Command(context.Background(), name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	must(c.Run(), "%s# %s %s\n%s", s.name, name, strings.Join(args, " "), &out)
}

// settings returns those that come with the package, but for a few.
func (s shorewall) settings() string {
	packaged := filepath.Join("/etc", s.program(), s.program()+".conf")
	b, err := os.ReadFile(packaged)
	must(err, "shorewall's settings")
	text := string(b)
	command := "IPTABLES"
	if s.family == 6 {
		command = "IP6TABLES"
	}
	for _, set := range [][2]string{
		{"STARTUP_ENABLED", "Yes"}, {"VERBOSITY", "0"}, {"IP_FORWARDING", "Keep"}, {"TRACK_PROVIDERS", "Yes"},
		{"PROVIDER_BITS", "8"}, {"PROVIDER_OFFSET", "8"}, {"USE_DEFAULT_RT", "Yes"}, {"DETECT_DNAT_IPADDRS", "No"},
		{"STARTUP_LOG", filepath.Join(s.folder, "log")}, {"LOGFILE", "/dev/null"}, {"SUBSYSLOCK", ""},
		{"LOCKFILE", filepath.Join(s.folder, "lock")}, {command, "/usr/sbin/" + iptables(s.family, s.backend)},
		{"FASTACCEPT", "No"}, {"TC_ENABLED", "No"}, {"ROUTE_FILTER", "No"}, {"AUTOMAKE", "No"}, {"DISABLE_IPV6", "No"}, {"ADD_IP_ALIASES", "No"},
	} {
		line := regexp.MustCompile(`(?m)^` + set[0] + `=.*$`)
		text = line.ReplaceAllLiteralString(text, set[0]+"="+set[1])
	}
	return text
}

func (s shorewall) write() {
	s.file(s.program()+".conf", s.settings())
	s.file("vardir", "VARDIR="+filepath.Join(s.folder, "var"))
	kind := strings.ToLower(s.family.String())
	s.file("zones", fmt.Sprintf("fw firewall\nnet %[1]s\nloc %[1]s", kind))
	s.file("policy", "fw all ACCEPT\nloc net ACCEPT\nloc fw ACCEPT\nnet all DROP\nall all REJECT")
	s.file("interfaces", "?FORMAT 2\nloc lan0 -"+s.each(func(i int, link string) string { return "net " + link + " optional" }))
	s.file("rules", s.rules())
	s.file("providers", s.each(func(i int, link string) string {
		options := "track"
		if i == s.preferred {
			options += ",balance"
		}
		return fmt.Sprintf("isp%d %d %#x - %s %s %s", i, providerNumber(i), (i+1)<<8, link, s.family.router(i), options)
	}))
	for _, empty := range []string{"snat", "rtrules", "params", "conntrack"} {
		s.file(empty, "")
	}
}

func (s shorewall) rules() string {
	lan, ping := s.family.lan().String(), "icmp 8"
	if s.family == 6 {
		lan, ping = "["+lan+"]", "ipv6-icmp 128"
	}
	return fmt.Sprintf(`?SECTION NEW
DNAT net loc:%[1]s udp %[2]d
DNAT net loc:%[1]s tcp %[2]d
ACCEPT net fw %[4]s
ACCEPT net fw tcp %[3]d
ACCEPT net fw udp %[3]d`, lan, lanPort, hostPort, ping)
}

// providerNumber returns also the number of the provider's table. One is that of Shorewall's own table balance.
func providerNumber(index int) int {
	const balance = 250
	if number := index + 1; number < balance {
		return number
	}
	return index + 2
}

// each returns a line for each uplink.
func (s shorewall) each(line func(index int, link string) string) string {
	var lines strings.Builder
	for i := range s.uplinks {
		lines.WriteString("\n" + line(i, uplinkName(i)))
	}
	return lines.String()
}

func (s shorewall) file(name, text string) {
	must(os.WriteFile(filepath.Join(s.folder, name), []byte(text+"\n"), 0o644), "%s: %s", s.name, name)
}
