package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"

	"replypath/cmd/internal/bpf"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// groupPrefix begins the names of the control groups of use.
const groupPrefix = "replypath-use-"

// enterMarkedGroup moves this process into a new control group whose sockets wear the mark. A process of its own removes the group
// when it is empty; groups that are left, as that process was killed, are removed first.
func (p *program) enterMarkedGroup(mark, mask uint32) error {
	h, err := bpf.OpenHierarchy()
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.RemoveEmpty(groupPrefix); err != nil {
		fmt.Fprintf(p.stderr, "warning: an old control group stays: %v\n", err)
	}
	own, err := h.Own()
	if err != nil {
		return err
	}
	own = outsideOfUse(own)
	for range 10 {
		if err = p.tryMarkedGroup(h, own, mark, mask); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	return err
}

// outsideOfUse returns the group that the outermost use was started in: programs of groups above run last, so that a group within
// another one would have that one's mark.
func outsideOfUse(group string) string {
	parts := strings.Split(group, "/")
	if i := slices.IndexFunc(parts, func(name string) bool { return strings.HasPrefix(name, groupPrefix) }); i >= 0 {
		return path.Join(append([]string{"."}, parts[:i]...)...)
	}
	return group
}

// tryMarkedGroup makes a group and enters it. It returns fs.ErrNotExist or ENODEV if another use has removed the group, which was
// empty, before.
func (p *program) tryMarkedGroup(h *bpf.Hierarchy, parent string, mark, mask uint32) error {
	g, err := h.Create(parent, groupPrefix)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.MarkSockets(mark, mask); err != nil {
		return errors.Join(err, h.Remove(g.Path))
	}
	if err := startReaper(g.Path); err != nil {
		return errors.Join(err, h.Remove(g.Path))
	}
	return g.Enter()
}

// startReaper starts the process that removes the group once this one has been replaced by the command or has ended, and the group
// is empty. It is no child of this process, as the command may wait for all that it has.
func startReaper(group string) error {
	input, hold, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the process that removes the control group: %w", err)
	}
	defer input.Close()
	starter, err := startDetached(input, "reap", "--start", group)
	if err != nil {
		return fmt.Errorf("start the process that removes the control group: %w", err)
	}
	state, err := starter.Wait()
	if err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	if err != nil {
		return fmt.Errorf("start the process that removes the control group: %w", err)
	}
	openUntilExec = append(openUntilExec, hold)
	return nil
}

// openUntilExec has the files that stay open until this process ends or runs another program.
var openUntilExec []*os.File

// reapCommand removes a control group once its standard input has ended and no process is in the group.
func (p *program) reapCommand() *cobra.Command {
	start := false
	cmd := &cobra.Command{
		Use:    "reap GROUP",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if start {
				reaper, err := startDetached(os.Stdin, "reap", args[0])
				if err != nil {
					return err
				}
				return reaper.Release()
			}
			signal.Reset()
			return reap(args[0])
		},
	}
	cmd.Flags().BoolVar(&start, "start", false, "do it in another process")
	return cmd
}

func reap(group string) error {
	h, err := bpf.OpenHierarchy()
	if err != nil {
		return err
	}
	defer h.Close()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fmt.Errorf("wait for the command: %w", err)
	}
	if err := h.AwaitEmpty(group); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
		return err
	}
	return h.Remove(group)
}
