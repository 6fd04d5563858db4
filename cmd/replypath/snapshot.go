package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/config"
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
	switch err := atomicfile.Write(path, []byte(text), 0o600); {
	case errors.Is(err, atomicfile.ErrNotRegular):
		return fmt.Errorf("write the snapshot: %w: name another file", err)
	case err != nil:
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
