// Command replypath keeps answers symmetric on a host with several uplinks.
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

// run is the whole program, and gives its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return p.exitStatus(root.ExecuteContext(ctx))
}

// program is what every command needs.
type program struct {
	stdout, stderr       io.Writer
	configPath, stateDir string // flags
	json                 bool
	parsed               bool // a command was understood and runs
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "replypath",
		Short: "Replies leave by the interface their question came in on",
		Long: `replypath keeps answers symmetric on a host with several uplinks: a reply leaves by
the interface its question came in on.

To begin: "init --write" proposes a configuration, which is to be read and corrected;
"check" names its mistakes, "plan" shows what would be done, "apply" does it, and "run"
is the service that keeps it so. When replies are missing: "status", "verify",
"explain" and "doctor".

Exit status: 0 yes, or done; 1 could not; 2 wrong usage or invalid configuration;
3 the answer is no (plan: not in sync; status: not all is well; verify: a reply strays;
explain: it gets nowhere; doctor: there is an error or a warning).`,
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
	flags.StringVar(&p.configPath, "config", defaultConfig, "the configuration `FILE`; uplinks.d beside it is read too")
	flags.StringVar(&p.stateDir, "state", defaultState, "the `DIR` in which values found are remembered")
	root.AddCommand(p.initCommand(), p.checkCommand(), p.planCommand(), p.applyCommand(), p.confirmCommand(), p.guardCommand(), p.runCommand(), p.reloadCommand(), p.statusCommand(), p.verifyCommand(), p.explainCommand(), p.doctorCommand(), p.flushCommand(), p.versionCommand())
	root.AddCommand(p.manCommand())
	return root
}

// shortLivedGCPercent is the garbage collector's percentage for what ends at once: with hundreds of uplinks collecting takes longer
// than the work.
const shortLivedGCPercent = 400

// makePathsAbsolute makes paths mean the same to the service and the guard, which work in other folders.
func (p *program) makePathsAbsolute() error {
	for flag, path := range map[string]*string{"--config": &p.configPath, "--state": &p.stateDir} {
		if *path == "" {
			return fmt.Errorf("%w: %s is empty", errUsage, flag)
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = abs
	}
	return nil
}

func (p *program) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON for programs")
	return cmd
}
