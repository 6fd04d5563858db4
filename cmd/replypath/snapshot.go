package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/health/trustedfile"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/snapshot"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (p *program) snapshotCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "snapshot [FILE]",
		Short: "Write rules, routes, link groups, sysctls and mangle chains as text",
		Long: `Write the rules, the routes of all tables, the groups of all links, the sysctls that matter
with several uplinks, and the mangle chains of this host, of replypath and of all other
programs, as lines of text: to FILE, which only root can read, or to the standard output.
"diff" says what has changed since, and "restore" puts it back.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := p.readSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			name, _ := os.Hostname()
			text := d.Text(fmt.Sprintf("%s of %s: see replypath(8), replypath diff and replypath restore", time.Now().UTC().Format(time.RFC3339), name))
			if len(args) == 0 {
				_, err := fmt.Fprint(p.stdout, text)
				return err
			}
			return writeSnapshot(args[0], text)
		},
	}
}

func (p *program) diffCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "diff FILE",
		Short: "Say what has changed since a snapshot",
		Long: `Compare the host with a snapshot: - marks a line that is no longer there, + one that is
new, and ~ rules that are in another order. The exit status is 3 if anything has changed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := openSnapshot(args[0])
			if err != nil {
				return err
			}
			now, err := p.readSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			return p.printChanges(snapshot.Compare(before, now))
		},
	})
}

// diffReport is the result of diff in JSON.
type diffReport struct {
	Version int               `json:"version"`
	Same    bool              `json:"same"`
	Changes []snapshot.Change `json:"changes"`
}

func (p *program) printChanges(changes []snapshot.Change) error {
	if p.json {
		if err := p.printJSON(diffReport{Version: 1, Same: len(changes) == 0, Changes: nonNil(changes)}); err != nil {
			return err
		}
	} else {
		for _, c := range changes {
			if _, err := fmt.Fprintln(p.stdout, sanitize(c.String())); err != nil {
				return err
			}
		}
	}
	if len(changes) > 0 {
		return errNegative
	}
	return nil
}

// anyHost returns the configuration of a command that needs none.
func anyHost() config.Config { return config.Config{Settings: uplinks.Settings{Backend: marks.Auto}} }

// readSnapshot returns the state of the host.
func (p *program) readSnapshot(ctx context.Context) (snapshot.Document, error) {
	h, err := p.openHost(ctx, anyHost())
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Snapshot(ctx)
}

// writeSnapshot writes a file that only root can read, and that openSnapshot accepts.
func writeSnapshot(path, text string) error {
	if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	if _, err := openSnapshot(path); err != nil {
		return fmt.Errorf("%s is written, but will not be read: %w", path, err)
	}
	return nil
}

// maxSnapshot bounds the size of a file: a full Internet table in both families has 120 MiB.
const maxSnapshot = 1 << 30

// openSnapshot reads a file that nobody but root could have written.
func openSnapshot(path string) (snapshot.Document, error) {
	f, err := trustedfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) || st.Mode&0o022 != 0 {
		return nil, fmt.Errorf("read the snapshot: %w", &trustedfile.Error{What: path + " can be modified by users other than root", Remedy: fmt.Sprintf("chown root %s && chmod go-w %[1]s", path)})
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSnapshot))
	if err != nil {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	d, err := snapshot.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("read the snapshot: %s: %w", path, err)
	}
	return d, nil
}

func (p *program) restoreCommand() *cobra.Command {
	all, dryRun := false, false
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "restore FILE",
		Short: "Put back what a snapshot has",
		Long: `Make all that belongs to replypath as it is in the snapshot: its rules, routes and chains,
and the link groups and sysctls that it had set. With --all, also put back what is missing of
other programs: rules, routes, link groups, sysctls and rules of mangle chains. Nothing of
theirs is deleted, and nothing is added twice. Routes that the kernel makes itself, from
addresses and router advertisements, are left to it.

What is new is added before what is old is deleted; after a failed step nothing more is
deleted. With --dry-run the changes are printed, and the exit status is 3 if there are any.
A line that cannot be restored, such as of a link that is gone, is left out, with a warning
and the exit status 3. It needs no configuration. Not while the service runs, which would undo it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openSnapshot(args[0])
			if err != nil {
				return err
			}
			if dryRun {
				return p.planRestore(cmd.Context(), d, all)
			}
			return p.restore(cmd.Context(), d, all)
		},
	})
	cmd.Flags().BoolVar(&all, "all", false, "also put back what is missing of other programs")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print the changes")
	return cmd
}

func (p *program) planRestore(ctx context.Context, d snapshot.Document, all bool) error {
	h, err := p.openHost(ctx, anyHost())
	if err != nil {
		return err
	}
	defer h.Close()
	plan, err := h.PlanRestore(ctx, d, all)
	if err != nil {
		return err
	}
	p.warnLeftOut(plan)
	if p.json {
		err = p.printJSON(newRestoreReport(plan))
	} else {
		_, err = fmt.Fprint(p.stdout, plan)
	}
	if err == nil && (!plan.IsEmpty() || len(plan.LeftOut) > 0) {
		err = errNegative
	}
	return err
}

func (p *program) restore(ctx context.Context, d snapshot.Document, all bool) error {
	if err := p.requireNoService(ctx); err != nil {
		return err
	}
	h, err := p.openLockedHost(ctx, anyHost())
	if err != nil {
		return err
	}
	defer h.Close()
	done, err := h.Restore(ctx, d, all)
	p.warnLeftOut(done)
	if err != nil {
		return err
	}
	switch {
	case p.json:
		err = p.printJSON(newRestoreReport(done))
	case done.IsEmpty():
		_, err = fmt.Fprintln(p.stdout, "in sync: nothing to do")
	default:
		_, err = fmt.Fprintf(p.stdout, "restored: %s\n", pluralize(len(done.Ours)+len(done.Others), "step"))
	}
	if err == nil && len(done.LeftOut) > 0 {
		err = errNegative
	}
	return err
}

// warnLeftOut prints the lines of the snapshot that cannot be restored.
func (p *program) warnLeftOut(r host.Restoration) {
	for _, l := range r.LeftOut {
		fmt.Fprintf(p.stderr, "warning: left out: %s\n", sanitize(l))
	}
}

// restoreReport is the result of restore in JSON.
type restoreReport struct {
	Version int          `json:"version"`
	Changed bool         `json:"changed"`
	Steps   []stepReport `json:"steps"`
	LeftOut []string     `json:"left_out"`
}

func newRestoreReport(r host.Restoration) restoreReport {
	steps := []stepReport{}
	for _, s := range r.Others {
		steps = append(steps, newStepReport(s.Kind, s.String()))
	}
	return restoreReport{Version: 1, Changed: !r.IsEmpty(), Steps: append(steps, stepReports(r.Ours)...), LeftOut: nonNil(r.LeftOut)}
}
