package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"replypath/test/world"
)

// measured is the program that is measured, measuredToo another one beside it.
var measured, measuredToo string

// smallMask is the default mask's number of uplinks.
const smallMask = 31

// withReplypath sets the gateway up as an operator would, with the recommended source check.
func (g *gateway) withReplypath(backend string) { g.withProgram(measured, backend) }

// withOther sets it up by the program that is measured beside.
func (g *gateway) withOther(backend string) { g.withProgram(measuredToo, backend) }

func (g *gateway) withProgram(program, backend string) {
	g.program = program
	g.forwardings()
	g.strict()
	g.configure(backend)
	must(g.replypath("apply").Run(), "%s: replypath apply", g.name)
}

func (g *gateway) strict() {
	for i := range g.uplinks {
		g.host.SetSysctl("net.ipv4.conf."+uplinkName(i)+".rp_filter", "1")
	}
}

// configure writes a configuration of all uplinks; configureFirst of the first ones.
func (g *gateway) configure(backend string) { g.configureFirst(backend, g.uplinks) }

func (g *gateway) configureFirst(backend string, uplinks int) {
	must(os.WriteFile(g.file(), []byte(g.configuration(backend, uplinks)), 0o644), "%s: configuration", g.name)
}

func (g *gateway) file() string { return filepath.Join(g.folder, "replypath.toml") }

// configuration returns a configuration with the first uplinks.
func (g *gateway) configuration(backend string, uplinks int) string {
	var text strings.Builder
	if g.uplinks > smallMask || g.anyRouter != "" {
		text.WriteString("mask = 0xff00\n")
	}
	fmt.Fprintf(&text, "backend = %q\naccelerate = %t\n", backend, g.accelerate)
	for i := range uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n",
			i, i+1, uplinkName(i), family(4).router(i), family(6).router(i))
		if g.anyRouter == uplinkName(i) {
			text.WriteString("routers = \"any\"\n")
		}
	}
	return text.String() + g.more
}

// find returns where a program is that is to be measured.
func find(program string) string {
	path, err := filepath.Abs(program)
	must(err, "find the program to measure")
	_, err = os.Stat(path)
	must(err, "no program to measure: make build")
	return path
}

// replypath prepares a command of the program that is measured.
func (g *gateway) replypath(args ...string) *world.Command {
	common := []string{"--config", g.file(), "--state", filepath.Join(g.folder, "state")}
	c := g.host.Command(context.Background(), cmp.Or(g.program, measured), append(args, common...)...)
	c.Stderr = os.Stderr
	return c
}
