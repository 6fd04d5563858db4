// Command replypath keeps replies symmetric on a host with several uplinks.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the program and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return p.exitStatus(root.ExecuteContext(ctx))
}

// program is the state that all commands share.
type program struct {
	stdout, stderr       io.Writer
	configPath, stateDir string // flags
	json                 bool
	parsed               bool // the arguments are valid and a command runs
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "replypath",
		Short: "Keep replies on the interface their connection came in on",
		Long: `replypath keeps replies symmetric on a host with several uplinks: a reply leaves by
the interface its connection came in on.

To start, "init --write" proposes a configuration, to be reviewed and corrected;
"check" reports its mistakes, "plan" prints the changes, "apply" makes them, and "run"
is the service that maintains them. If replies are missing, see "status", "verify",
"explain" and "doctor".

Exit status: 0 success; 1 error; 2 wrong usage or invalid configuration; 3 negative
result (plan: not in sync; check: the peer differs; apply, reload: an uplink is left
out; status: not healthy; verify: asked or shown is no; explain: the packet is not routed; doctor: errors or
warnings; diff: changed; restore: a line is left out, or --dry-run: changes).`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			p.parsed = true
			if cmd.Name() != "run" {
				debug.SetGCPercent(shortLivedGCPercent)
			}
			return p.makePathsAbsolute()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.configPath, "config", defaultConfig, "the configuration `FILE`; the directory uplinks.d beside it is read too")
	flags.StringVar(&p.stateDir, "state", defaultState, "the `DIR` for saved original values and the applied configuration")
	root.AddCommand(p.initCommand(), p.checkCommand(), p.planCommand(), p.applyCommand(), p.confirmCommand(), p.guardCommand(), p.runCommand(), p.reloadCommand(), p.drainCommand(), p.undrainCommand(), p.useCommand(), p.reapCommand(), p.statusCommand(), p.verifyCommand(), p.explainCommand(), p.doctorCommand(), p.fingerprintCommand(), p.snapshotCommand(), p.diffCommand(), p.restoreCommand(), p.flushCommand(), p.versionCommand())
	root.AddCommand(p.manCommand())
	return root
}

// shortLivedGCPercent is the GC percentage of all commands but run: with hundreds of uplinks garbage collection takes longer
// than the work.
const shortLivedGCPercent = 400

// makePathsAbsolute makes the paths absolute, as the service and the guard have other working directories.
func (p *program) makePathsAbsolute() error {
	for flag, path := range map[string]*string{"--config": &p.configPath, "--state": &p.stateDir} {
		if *path == "" {
			return fmt.Errorf("%w: %s is empty", errUsage, flag)
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("make %s absolute: %w", *path, err)
		}
		*path = abs
	}
	return nil
}

func (p *program) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}
