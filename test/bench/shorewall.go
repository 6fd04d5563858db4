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

// withShorewall sets the gateway up as Shorewall does for providers that are tracked: everything else of its
// configuration is as small as a firewall can be.
func (g *gateway) withShorewall(backend string) {
	g.shorewallFiles(backend)
	g.shorewall("shorewall", "compile", g.folder, g.firewall())
	g.shorewall(g.firewall(), "start")
}

// firewall is the program that Shorewall makes of its configuration.
func (g *gateway) firewall() string { return filepath.Join(g.folder, "firewall") }

func (g *gateway) shorewall(name string, args ...string) {
	c := g.host.Command(context.Background(), name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	must(c.Run(), "%s# %s %s\n%s", g.name, name, strings.Join(args, " "), &out)
}

const packaged = "/etc/shorewall/shorewall.conf"

func (g *gateway) shorewallFiles(backend string) {
	settings, err := os.ReadFile(packaged)
	must(err, "shorewall's settings")
	text := string(settings)
	for _, s := range [][2]string{
		{"STARTUP_ENABLED", "Yes"}, {"VERBOSITY", "0"}, {"IP_FORWARDING", "Keep"}, {"TRACK_PROVIDERS", "Yes"},
		{"PROVIDER_BITS", "8"}, {"PROVIDER_OFFSET", "8"}, {"USE_DEFAULT_RT", "Yes"}, {"DETECT_DNAT_IPADDRS", "No"},
		{"STARTUP_LOG", filepath.Join(g.folder, "log")}, {"LOGFILE", "/dev/null"}, {"SUBSYSLOCK", ""},
		{"LOCKFILE", filepath.Join(g.folder, "lock")}, {"IPTABLES", "/usr/sbin/iptables-" + backend}, {"FASTACCEPT", "No"},
		{"TC_ENABLED", "No"}, {"ROUTE_FILTER", "No"}, {"AUTOMAKE", "No"}, {"DISABLE_IPV6", "No"}, {"ADD_IP_ALIASES", "No"},
	} {
		line := regexp.MustCompile(`(?m)^` + s[0] + `=.*$`)
		if !line.MatchString(text) {
			text += s[0] + "=\n"
		}
		text = line.ReplaceAllLiteralString(text, s[0]+"="+s[1])
	}
	g.shorewallFile("shorewall.conf", text)
	g.shorewallFile("vardir", "VARDIR="+filepath.Join(g.folder, "var"))
	must(os.Mkdir(filepath.Join(g.folder, "var"), 0o755), "%s: shorewall's state", g.name)
	g.shorewallFile("zones", "fw firewall\nnet ipv4\nloc ipv4")
	g.shorewallFile("policy", "fw all ACCEPT\nloc net ACCEPT\nloc fw ACCEPT\nnet all DROP\nall all REJECT")
	g.shorewallFile("interfaces", "?FORMAT 2\nloc lan0 -"+g.each(func(i int, link string) string { return "net " + link + " optional" }))
	g.shorewallFile("rules", fmt.Sprintf(`?SECTION NEW
DNAT net loc:%[1]s udp %[2]d
DNAT net loc:%[1]s tcp %[2]d
ACCEPT net fw icmp 8
ACCEPT net fw tcp %[3]d
ACCEPT net fw udp %[3]d`, family(4).lan(), lanPort, hostPort))
	g.shorewallFile("providers", g.each(func(i int, link string) string {
		options := "track"
		if i == 0 {
			options += ",balance"
		}
		return fmt.Sprintf("isp%d %d %#x - %s %s %s", i, providerNumber(i), (i+1)<<8, link, family(4).router(i), options)
	}))
	for _, empty := range []string{"snat", "rtrules", "params", "conntrack"} {
		g.shorewallFile(empty, "")
	}
}

// providerNumber is also the number of the provider's table. One is that of Shorewall's own table balance.
func providerNumber(index int) int {
	const balance = 250
	if number := index + 1; number < balance {
		return number
	}
	return index + 2
}

// each is a line for each uplink.
func (g *gateway) each(line func(index int, link string) string) string {
	var lines strings.Builder
	for i := range g.uplinks {
		lines.WriteString("\n" + line(i, uplinkName(i)))
	}
	return lines.String()
}

func (g *gateway) shorewallFile(name, text string) {
	must(os.WriteFile(filepath.Join(g.folder, name), []byte(text+"\n"), 0o644), "%s: %s", g.name, name)
}
