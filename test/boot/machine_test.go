//go:build boot

package boot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// machine is a booted disk, whose network is the gateway of a world.
type machine struct {
	*world.Internet
	t       *testing.T
	disk    *disk
	nspawn  *exec.Cmd
	init    initProgram
	ended   chan struct{}
	leader  string // the id of its first process
	groups  []string
	console string // the file of what it prints
}

// bootTime is far more than a boot takes here: half a second on an idle machine.
const bootTime = 2 * time.Minute

// boot starts the disk as a container in a new world's gateway and returns at once.
func boot(t *testing.T, d *disk, w *world.Internet) *machine {
	t.Helper()
	return bootWith(t, d, w, systemd)
}

func bootWith(t *testing.T, d *disk, w *world.Internet, init initProgram) *machine {
	t.Helper()
	m := &machine{Internet: w, t: t, disk: d, init: init, ended: make(chan struct{})}
	var namespace *os.File
	w.Gateway.Do(func() { namespace, _ = os.Open("/proc/thread-self/ns/net") })
	defer namespace.Close()
	m.group()
	join := ""
	for _, g := range m.groups {
		join += "echo $$ >" + g + "/cgroup.procs; "
	}
	m.nspawn = exec.Command("sh", append([]string{"-c", join + `exec systemd-nspawn "$@"`, "sh",
		"--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--machine=replypath", "--console=read-only",
		"--directory=" + d.Root, fmt.Sprintf("--network-namespace-path=/proc/%d/fd/%d", os.Getpid(), namespace.Fd()),
		"--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF", "--system-call-filter=bpf"}, init.start...)...)
	m.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network")
	console, err := os.Create(d.Root + ".console")
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	m.console = console.Name()
	m.nspawn.Stdout, m.nspawn.Stderr = console, console
	if err := m.nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.nspawn.Wait()
		close(m.ended)
	}()
	t.Cleanup(m.cut)
	m.await("the first process", func() bool { return m.find() })
	return m
}

// group makes control groups of the machine's own, in which systemd-nspawn makes those of the container.
func (m *machine) group() {
	m.t.Helper()
	name := "replypath-boot-" + filepath.Base(filepath.Dir(m.disk.Root))
	for _, hierarchy := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(hierarchy + "/cgroup.procs"); err != nil {
			continue
		}
		group := filepath.Join(hierarchy, name)
		if err := os.MkdirAll(group, 0o755); err != nil {
			m.t.Fatal(err)
		}
		m.groups = append(m.groups, group)
	}
}

// find finds the container's first process, which is a child of systemd-nspawn.
func (m *machine) find() bool {
	pid := m.nspawn.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		if comm, _ := os.ReadFile("/proc/" + child + "/comm"); strings.TrimSpace(string(comm)) == m.init.name {
			m.leader = child
			return true
		}
	}
	return false
}

// await waits until it is so, and fails with the console when it never is.
func (m *machine) await(condition string, so func() bool) {
	m.t.Helper()
	late := time.After(bootTime)
	for !so() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-m.ended:
			m.t.Fatalf("systemd-nspawn ended before %s:\n%s", condition, m.consoleOutput())
		case <-late:
			m.t.Fatalf("no %s in %s; the console:\n%s\n%s", condition, bootTime, m.consoleOutput(), m.log())
		}
	}
}

func (m *machine) consoleOutput() string {
	text, _ := os.ReadFile(m.console)
	return string(text)
}

// up waits for the end of the boot, and wants that no unit has failed.
func (m *machine) up() {
	m.t.Helper()
	state := ""
	m.await("end of the boot", func() bool {
		state, _ = m.try("systemctl", "is-system-running")
		return state == "running" || state == "degraded"
	})
	if state != "running" {
		failed, _ := m.try("systemctl", "--failed", "--no-legend", "--plain")
		m.t.Fatalf("the system is %s:\n%s\n%s", state, failed, m.log())
	}
}

// try runs a command in the machine and gives what it printed.
func (m *machine) try(args ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), bootTime)
	defer stop()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", m.leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (m *machine) run(args ...string) string {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, m.log())
	}
	return out
}

// log returns the service's log.
func (m *machine) log() string {
	out, _ := m.try(m.init.log...)
	var short strings.Builder
	for line := range strings.Lines(out) {
		fmt.Fprintln(&short, line[:min(len(strings.TrimSpace(line)), 240)])
	}
	return short.String()
}

// off shuts the machine down as its operator does.
func (m *machine) off() {
	m.t.Helper()
	m.try("systemctl", "--no-block", "poweroff")
	select {
	case <-m.ended:
	case <-time.After(bootTime):
		m.t.Errorf("it does not go down: %s", m.consoleOutput())
	}
	m.cut()
}

// cut takes its power.
func (m *machine) cut() {
	for _, g := range m.groups {
		os.WriteFile(g+"/cgroup.kill", []byte("1"), 0)
	}
	m.nspawn.Process.Kill()
	<-m.ended
	for _, g := range m.groups {
		m.disband(g)
	}
}

// disband removes a group when the last of its processes has gone.
func (m *machine) disband(group string) {
	for range 200 {
		exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
		if _, err := os.Stat(group); os.IsNotExist(err) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	m.t.Errorf("processes are left in %s", group)
}
