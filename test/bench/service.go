package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"replypath/health"
	"replypath/test/world"
)

// service is a running replypath.
type service struct {
	host    *world.Host
	folder  string
	command *world.Command
}

// serve starts the service with this configuration, and returns when it is ready.
func serve(h *world.Host, folder, configuration string) *service {
	must(os.WriteFile(filepath.Join(folder, "replypath.toml"), []byte(configuration), 0o644), "%s: configuration", h.Name)
	s := &service{host: h, folder: folder}
	s.command = s.replypath("run")
	must(s.command.Start(), "%s: replypath run", h.Name)
	s.await("in sync", func(now health.Status) bool { return now.Ready && now.InSync })
	return s
}

func (s *service) replypath(args ...string) *world.Command {
	common := []string{"--config", filepath.Join(s.folder, "replypath.toml"), "--state", filepath.Join(s.folder, "state")}
	return s.host.Command(context.Background(), measured, append(args, common...)...)
}

// end kills the service: nothing of what it has done goes.
func (s *service) end() {
	must(s.command.Process.Kill(), "%s: end the service", s.host.Name)
	s.command.Wait()
}

// status returns how the service stands; nothing when it does not answer.
func (s *service) status() (now health.Status) {
	out, _ := s.replypath("status", "--json").Output() // exit status 3: not all is well
	if json.Unmarshal(out, &now) != nil {
		return health.Status{}
	}
	return now
}

// await waits for the service to stand as it should.
func (s *service) await(what string, stands func(health.Status) bool) {
	const step, limit = 20 * time.Millisecond, time.Minute
	var now health.Status
	for began := time.Now(); time.Since(began) < limit; time.Sleep(step) {
		if now = s.status(); stands(now) {
			return
		}
	}
	fatal("%s: the service is not %s after %s; problems: %q", s.host.Name, what, limit, now.Problems)
}

// spent returns the CPU time of the service and of the programs that it has started and that have ended.
func (s *service) spent() time.Duration {
	const tick = 10 * time.Millisecond
	children := s.stat(cutime) + s.stat(cstime)
	return s.command.CPUTime() + time.Duration(children)*tick
}

// Fields of proc_pid_stat(5), counted after the name.
const (
	cminflt = 8 // page faults of programs that have ended: every program has some
	cutime  = 13
	cstime  = 14
)

func (s *service) stat(field int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	must(err, "the service has ended")
	_, rest, _ := strings.Cut(string(text), ") ")
	n, err := strconv.Atoi(strings.Fields(rest)[field])
	must(err, "read the service's stat")
	return n
}

// resident returns the service's memory, in MiB.
func (s *service) resident() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	must(err, "the service has ended")
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "VmRSS:"); is {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			must(err, "read the service's memory")
			return float64(n) / 1024
		}
	}
	fatal("the service has no memory")
	return 0
}
