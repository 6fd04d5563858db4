package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// countPrograms counts how many programs run for a change, the first one too.
func (c *control) countPrograms(g *gateway, backend string) {
	g.configure(backend)
	key := func(operation, by string) controlKey { return controlKey{operation, by + ", " + backend, g.uplinks} }
	c.programs[key(fromNothing, byHand)] = sample{float64(newScript(g.plan()).programs())}
	c.programs[key(fromNothing, ourName)] = sample{float64(1 + g.started("apply"))}
	c.programs[key(noChange, ourName)] = sample{float64(1 + g.started("apply"))}
	took(g.replypath("flush"))
}

// programs returns those that do the script.
func (s script) programs() (n int) {
	for _, lines := range s.batch {
		n += min(len(lines), 1)
	}
	return n + min(len(s.sysctls), 1) + min(len(s.nft), 1) + len(s.restore)
}

// started returns how many iptables commands a run of replypath starts. It finds scripts in their place that note it.
func (g *gateway) started(args ...string) int {
	folder, err := os.MkdirTemp(g.folder, "programs-")
	must(err, "%s: folder for programs", g.name)
	log := filepath.Join(folder, "log")
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, backend := range []string{"", "-nft", "-legacy"} {
			for _, kind := range []string{"", "-restore", "-save"} {
				name := family + backend + kind
				path, err := exec.LookPath(name)
				must(err, "find %s", name)
				// The backend is queried of a wrapper script alone, not of a command by its own name.
				text := fmt.Sprintf("#!/bin/sh\ncase $1 in --version) ;; *) echo %s >> %s ;; esac\nexec %s \"$@\"\n", name, log, path)
				must(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755), "write %s", name)
			}
		}
	}
	c := g.replypath(args...)
	c.Env = append(os.Environ(), "PATH="+folder)
	took(c)
	text, err := os.ReadFile(log)
	if !os.IsNotExist(err) {
		must(err, "read what was started")
	}
	return strings.Count(string(text), "\n")
}

func (c *control) programRequirements(backend string, uplinks int) []requirement {
	counted := func(operation, by string) sample {
		return c.programs[controlKey{operation, by + ", " + backend, uplinks}]
	}
	return []requirement{
		{name: fmt.Sprintf("apply from nothing, %s: programs that run for %d uplinks over the same by hand", backend, uplinks),
			figure: counted(fromNothing, ourName).over(counted(fromNothing, byHand)), bound: 1},
		{name: fmt.Sprintf("apply of nothing, %s: programs that run", backend), figure: counted(noChange, ourName), bound: 1},
	}
}

func (c *control) programTable() *table {
	t := &table{title: "Programs that run for a change", columns: []string{"operation", "by"}}
	for _, n := range c.run.changed {
		t.columns = append(t.columns, fmt.Sprintf("%d uplinks", n))
	}
	for _, operation := range []string{fromNothing, noChange} {
		for _, by := range []string{byHand, ourName} {
			for _, b := range c.run.backends {
				row := []string{operation, by + ", " + b}
				for _, n := range c.run.changed {
					if counted := c.programs[controlKey{operation, by + ", " + b, n}]; counted != nil {
						row = append(row, short(counted.median()))
					}
				}
				if len(row) > 2 {
					t.add(row...)
				}
			}
		}
	}
	return t
}
