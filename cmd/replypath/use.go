package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (p *program) useCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "use UPLINK -- COMMAND [ARGUMENT...]",
		Short: "Run a command whose connections leave by an uplink",
		Long: `Run a command whose connections leave by an uplink, with its source addresses, in both
families. This holds for all sockets that the command and its children open, and needs
nothing of them: a BPF program at a control group sets the mark of the uplink on each. What
main routes specifically, such as to networks inside, still goes there. Sockets that the
command is given, and names that a service on this host resolves for it, are not concerned.

The command takes the place of replypath: signals and the exit status are its own. The
exit status is 127 if it is not found, and 126 if it cannot be run. It runs as root;
setpriv(1) or sudo(8) as the command makes it another user.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(useArguments(args)) < 2 {
				return errors.New("use needs an uplink and a command: replypath use fibre -- curl https://www.example.com")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			args = useArguments(args)
			return p.use(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// useArguments returns the uplink and the command, without the -- between them.
func useArguments(args []string) []string {
	if len(args) > 1 && args[1] == "--" {
		return slices.Delete(slices.Clone(args), 1, 2)
	}
	return args
}

// commandError is the error of a command that use cannot run.
type commandError struct {
	status int // as of env(1)
	err    error
}

func (e *commandError) Error() string { return e.err.Error() }

func (e *commandError) Unwrap() error { return e.err }

// use replaces this process by the command, in a control group whose sockets wear the mark of the uplink.
func (p *program) use(ctx context.Context, name string, command []string) error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	c, err := p.readConfig()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Settings.Uplinks, func(u uplinks.Uplink) bool { return u.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: there is no uplink %q: the configuration has %s", errUsage, name, c.Settings.UplinkNames())
	}
	file, err := findCommand(command[0])
	if err != nil {
		return err
	}
	if c.Settings, err = presentLinks(ctx, c.Settings); err != nil {
		return err
	}
	if err := p.checkEgress(c.Settings, c.Settings.Uplinks[i]); err != nil {
		return err
	}
	if err := p.enterMarkedGroup(uint32(c.Settings.Mark(c.Settings.Uplinks[i])), uint32(c.Settings.Mask)); err != nil {
		return err
	}
	signal.Reset()
	if ctx.Err() != nil { // a signal came before
		return ctx.Err()
	}
	err = syscall.Exec(file, command, os.Environ())
	return &commandError{exitCannotRun, fmt.Errorf("run %s: %w", file, err)}
}

// findCommand returns the file of the command, as execvp(3) finds it.
func findCommand(name string) (string, error) {
	files := []string{name}
	if !strings.Contains(name, "/") {
		files = nil
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			files = append(files, filepath.Join(dir, name))
		}
	}
	failed := &commandError{exitNotFound, fmt.Errorf("there is no command %s", name)}
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil && info.IsDir() {
			err = unix.EISDIR
		}
		if err == nil {
			err = unix.Access(file, unix.X_OK)
		}
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR):
			failed = &commandError{exitCannotRun, fmt.Errorf("run %s: %w", file, err)}
		}
	}
	return "", failed
}

// checkEgress asks the kernel how packets with the uplink's mark leave. It returns an error if none leave by the uplink, and warns
// of a family whose packets leave by another link.
func (p *program) checkEgress(s uplinks.Settings, u uplinks.Uplink) error {
	g, err := rtnl.OpenRouteGetter()
	if err != nil {
		return err
	}
	defer g.Close()
	leaves, others := false, []string{}
	for _, family := range []uplinks.Family{uplinks.IPv4, uplinks.IPv6} {
		d := g.Get(uplinks.RouteQuery{To: documentationClients[family], Mark: s.Mark(u)})
		by, _ := net.InterfaceByIndex(d.Link)
		switch {
		case d.Err != nil || by == nil:
		case by.Name == u.Link:
			leaves = true
		default:
			others = append(others, fmt.Sprintf("%s connections leave by %s, not by %s", family, by.Name, u.Link))
		}
	}
	switch text := strings.Join(others, ", "); {
	case !leaves && text == "":
		return fmt.Errorf("no connection leaves by %s: it has no route in the kernel: see replypath status, or run replypath apply", u.Name)
	case !leaves:
		return fmt.Errorf("no connection leaves by %s: %s: see replypath plan and replypath status", u.Name, text)
	case text != "":
		fmt.Fprintf(p.stderr, "warning: %s: %s: see replypath plan and replypath status\n", u.Name, text)
	}
	return nil
}
