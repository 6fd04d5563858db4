package main

import (
	"context"
	"strings"
	"time"

	"replypath/test/world"
)

// script is the lines of a plan as the fewest commands that can do them: one ip -batch and one iptables-restore for
// each family, or one nft -f for both, and one sysctl.
type script struct {
	batch   map[family][]string
	restore map[string][]string // by the command that is restored
	nft     []string
	sysctls []string
}

// newScript sorts lines as replypath plan prints them.
func newScript(lines []string) script {
	s := script{batch: map[family][]string{}, restore: map[string][]string{}}
	for _, line := range lines {
		command, rest, _ := strings.Cut(line, " ")
		switch {
		case command == "ip":
			if six, is := strings.CutPrefix(rest, "-6 "); is {
				s.batch[6] = append(s.batch[6], six)
			} else {
				s.batch[4] = append(s.batch[4], rest)
			}
		case command == "sysctl":
			s.sysctls = append(s.sysctls, strings.TrimPrefix(rest, "-w "))
		case command == "nft":
			s.nft = append(s.nft, strings.Trim(rest, "'"))
		case strings.Contains(command, "tables"):
			s.restore[command] = append(s.restore[command], restored(rest))
		}
	}
	return s
}

// restored returns an iptables command's line for a restore.
func restored(line string) string {
	line = strings.TrimPrefix(line, "-w -t mangle ")
	if chain, is := strings.CutPrefix(line, "-N "); is {
		return ":" + chain + " - [0:0]"
	}
	return line
}

// spent is what programs took: CPU time, with that of the programs that they started, and time by the clock.
type spent struct{ cpu, wall time.Duration }

func (s *spent) add(more spent) { s.cpu, s.wall = s.cpu+more.cpu, s.wall+more.wall }

// do runs the script on the host.
func (s script) do(h *world.Host) (total spent) {
	for _, f := range families {
		if len(s.batch[f]) > 0 {
			total.add(timed(h, strings.Join(s.batch[f], "\n")+"\n", "ip", "-"+f.digit(), "-batch", "-"))
		}
	}
	if len(s.sysctls) > 0 {
		total.add(timed(h, "", "sysctl", append([]string{"-q", "-w"}, s.sysctls...)...))
	}
	if len(s.nft) > 0 {
		total.add(timed(h, strings.Join(s.nft, "\n")+"\n", "nft", "-f", "-"))
	}
	for command, lines := range s.restore {
		text := "*mangle\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
		total.add(timed(h, text, command+"-restore", "--noflush", "-w"))
	}
	return total
}

// undone returns the script that takes back what no flush takes back, as it was not replypath that did it.
func (s script) undone() script {
	back := script{batch: map[family][]string{}}
	for _, line := range s.batch[4] {
		if at := strings.Index(line, " group "); at > 0 {
			back.batch[4] = append(back.batch[4], line[:at]+" group 0")
		}
	}
	for _, s := range s.sysctls {
		key, _, _ := strings.Cut(s, "=")
		back.sysctls = append(back.sysctls, key+"=0")
	}
	return back
}

// timed runs a program on the host with a text to read.
func timed(h *world.Host, text string, name string, args ...string) spent {
	c := h.Command(context.Background(), name, args...)
	if text != "" {
		c.Stdin = strings.NewReader(text)
	}
	return took(c)
}

// took runs a prepared program, which must succeed.
func took(c *world.Command) spent {
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	began := time.Now()
	must(c.Run(), "%s\n%s", strings.Join(c.Args, " "), &said)
	return spent{c.ProcessState.UserTime() + c.ProcessState.SystemTime(), time.Since(began)}
}
