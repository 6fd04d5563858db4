package bpf

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Group is a control group.
type Group struct {
	Path      string // from the root of the hierarchy
	directory *os.File
	hierarchy *Hierarchy
}

// Create makes a group below the parent, with a name that begins with the prefix.
func (h *Hierarchy) Create(parent, prefix string) (*Group, error) {
	name := path.Join(parent, prefix+strings.ToLower(rand.Text()[:12]))
	if err := h.root.Mkdir(name, 0o755); err != nil {
		return nil, fmt.Errorf("make the control group /%s: %w", name, err)
	}
	directory, err := h.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the control group /%s: %w", name, err)
	}
	return &Group{name, directory, h}, nil
}

// Close closes the group, which stays.
func (g *Group) Close() { g.directory.Close() }

// Enter moves this process into the group.
func (g *Group) Enter() error {
	err := g.write("cgroup.procs", "0")
	if err != nil {
		return fmt.Errorf("enter the control group /%s: %w", g.Path, err)
	}
	return nil
}

func (g *Group) write(name, value string) error {
	file, err := g.hierarchy.root.OpenFile(path.Join(g.Path, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// AwaitEmpty waits until no process is in the group or below it.
func (h *Hierarchy) AwaitEmpty(group string) error {
	events, err := h.root.Open(path.Join(group, "cgroup.events"))
	if err != nil {
		return fmt.Errorf("watch the control group /%s: %w", group, err)
	}
	defer events.Close()
	for {
		text, err := io.ReadAll(io.NewSectionReader(events, 0, 4096))
		if err != nil {
			return fmt.Errorf("watch the control group /%s: %w", group, err)
		}
		if strings.Contains(string(text), "populated 0\n") {
			return nil
		}
		// The kernel announces a change since the last read (kernfs(5): POLLPRI).
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch the control group /%s: %w", group, err)
		}
	}
}
