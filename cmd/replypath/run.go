package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"replypath/cmd/internal/daemon"

	"github.com/spf13/cobra"
)

func (p *program) runCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Apply, and keep the kernel as the configuration asks: the boot service",
		Long: `Apply the configuration, then keep the kernel as it asks: links and addresses that
come, go or change are followed, and what others delete or edit is repaired.
SIGHUP reads the configuration again. Stopping changes nothing in the kernel.
Without a configuration it says so and ends with success.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := p.newLogger(format)
			if err != nil {
				return err
			}
			if _, err := p.readConfig(); errors.Is(err, errNoConfig) {
				log.Info("nothing to do", "why", err)
				daemon.NotifyIdle(err)
				return nil
			}
			if err := checkPrivileges(); err != nil {
				return err
			}
			useOneProcessor()
			lowerGCPercent()
			hangup, stop := notifyHangup()
			defer stop()
			catchSIGPIPE()
			s := daemon.Service{ConfigFile: p.configPath, StateDir: p.stateDir, Log: log, Hangup: hangup, Build: readBuild().Version}
			return s.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&format, "log-format", "text", "the `FORMAT` of the log: text or json")
	return cmd
}

// useOneProcessor has Go run on one processor at a time. The service sleeps nearly always, and what wakes it is short: to look
// for a second processor then, and to wake it too, costs more than there is to do. GOMAXPROCS says otherwise.
func useOneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// lowerGCPercent has Go collect it twice as often as usual. Rounds in a storm of routes make much at once, and what memory
// they took then stays the process's for long; at rest there is hardly any. GOGC says otherwise.
func lowerGCPercent() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func (p *program) newLogger(format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(p.stderr, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, nil)), nil
	}
	return nil, fmt.Errorf("%w: --log-format %q: it is text or json", errUsage, format)
}

// catchSIGPIPE keeps SIGPIPE from ending the service when nobody reads its log any more. What it starts has the signal's usual
// meaning.
func catchSIGPIPE() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// notifyHangup gives SIGHUP as an event.
func notifyHangup() (<-chan struct{}, func()) {
	signals, out := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			out <- struct{}{}
		}
	}()
	return out, func() { signal.Stop(signals) }
}
