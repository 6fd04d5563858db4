package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"replypath/cmd/terminal"
	"replypath/test/world"
)

// gateway runs the real replypath on the gateway, as an operator would.
type gateway struct {
	stage          *stage
	host           *world.Host
	binary, folder string
	colours        terminal.Palette
}

const configFile = "demo.toml"

const configuration = `[uplinks.fibre]
id = 1
interface = "eth0"
gateway = ["198.51.100.1", "fe80::1"]

[uplinks.lte]
id = 2
interface = "eth1"
gateway = ["192.0.2.1", "fe80::1"]
`

// newGateway writes the configuration into a folder that is invisible outside, and that ends with the demo: /run is
// the namespace's own.
func newGateway(st *stage, in *world.Internet, binary string, colours terminal.Palette) *gateway {
	folder, err := os.MkdirTemp("/run", "demo-")
	if err != nil {
		st.Fatalf("%v", err)
	}
	g := &gateway{st, in.Gateway, binary, folder, colours}
	if err := os.WriteFile(filepath.Join(folder, configFile), []byte(configuration), 0o644); err != nil {
		st.Fatalf("%v", err)
	}
	return g
}

// replypath runs a command, which must end with the status, and returns what it printed.
func (g *gateway) replypath(status int, command string) []string {
	fmt.Println("  " + g.colours.Bold("gateway# replypath --config "+configFile+" "+command))
	var out, errout bytes.Buffer
	c := g.host.Command(context.Background(), g.binary, "--config", configFile, command)
	c.Dir, c.Stdout, c.Stderr = g.folder, &out, &errout
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		g.stage.Fatalf("replypath %s: %v", command, err)
	}
	if got := c.ProcessState.ExitCode(); got != status {
		g.stage.Fatalf("replypath %s: exit status %d, expected %d\n%s%s", command, got, status, errout.String(), out.String())
	}
	if output := strings.TrimSpace(errout.String()); output != "" {
		g.stage.Errorf("replypath %s warns: %s", command, output)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// plan shows how long the plan is and how it begins.
func (g *gateway) plan() {
	lines := g.replypath(3, "plan")
	const shown = 2
	for _, l := range lines[:min(shown, len(lines))] {
		fmt.Println("  " + cut(l))
	}
	fmt.Printf("  ... and %d lines more (exit status 3: not in sync)\n", len(lines)-shown)
}

func (g *gateway) apply() {
	for _, l := range g.replypath(0, "apply") {
		fmt.Println("  " + cut(l))
	}
}

func (g *gateway) inSync() {
	if output := strings.Join(g.replypath(0, "plan"), "\n"); output != "" {
		g.stage.Errorf("replypath plan after apply: %s", output)
	}
	fmt.Println("  (no line, exit status 0: in sync)")
}

// flush takes replypath's work away; what is left must be what was found.
func (g *gateway) flush(found snapshot) {
	for _, l := range g.replypath(0, "flush") {
		fmt.Println("  " + cut(l))
	}
	differences := g.snapshot().differences(found)
	if len(differences) > 0 {
		g.stage.Errorf("after flush the host is not as it was found:\n    %s", strings.Join(differences, "\n    "))
		return
	}
	fmt.Println("  (rules, routes, chains, links and sysctls are as they were found)")
}

// cut keeps a line within 80 columns.
func cut(line string) string {
	const most = 76
	if len(line) <= most {
		return line
	}
	return line[:most-3] + "..."
}
