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
	var format, level string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Apply the configuration and keep the kernel in sync: the service",
		Long: `Apply the configuration, then keep the kernel in sync: follow changes of links,
addresses and routes, and repair changes by other programs. SIGHUP reloads the
configuration. When the service stops, nothing in the kernel changes. Without a
configuration it logs that and exits with status 0.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := p.newLogger(format, level)
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
			raiseDescriptorLimit(log)
			defer runtime.KeepAlive(lowerGCPercent())
			hangup, stop := notifyHangup()
			defer stop()
			catchSIGPIPE()
			return daemon.Run(cmd.Context(), daemon.Options{ConfigFile: p.configPath, StateDir: p.stateDir, Log: log, Hangup: hangup, Build: readBuild().Version})
		},
	}
	cmd.Flags().StringVar(&format, "log-format", "text", "the `FORMAT` of the log, text or json")
	cmd.Flags().StringVar(&level, "log-level", "info", "log messages of this `LEVEL` and above: debug, info, warn or error")
	return cmd
}

// useOneProcessor sets GOMAXPROCS to 1 unless the environment sets it. The service mostly sleeps and its work is short: waking
// a second processor costs more than the work.
func useOneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// wantedDescriptors is the limit of open files that the service needs with all clients of the endpoint.
const wantedDescriptors = 1024

// raiseDescriptorLimit raises a low limit of open files, which takes CAP_SYS_RESOURCE where the hard limit is low. The runtime has
// raised the soft limit to the hard one already. The endpoint serves fewer clients under a limit that stays low.
func raiseDescriptorLimit(log *slog.Logger) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur >= wantedDescriptors {
		return
	}
	raised := syscall.Rlimit{Cur: wantedDescriptors, Max: max(l.Max, wantedDescriptors)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		log.Warn("few open files are allowed: the endpoint serves few clients at a time: raise LimitNOFILE= or ulimit -n", "limit", l.Cur, "wanted", wantedDescriptors, "err", err)
	}
}

// ballastSize is the size of a part of the heap that is never touched, so that it takes no memory. It counts as in use, half of which
// the service may allocate until garbage is collected: else a heap as small as that of a few uplinks is collected after each megabyte.
const ballastSize = 4 << 20

// lowerGCPercent sets GOGC to 50 unless the environment sets it, and returns the ballast, which the caller keeps. Bursts of route
// changes allocate much at once, and memory that the heap has grown to is returned to the system late.
func lowerGCPercent() (ballast []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(50)
	return make([]byte, ballastSize)
}

func (p *program) newLogger(format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	switch level {
	case "debug":
		options.Level = slog.LevelDebug
	case "info":
		options.Level = slog.LevelInfo
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	default:
		return nil, fmt.Errorf("%w: --log-level %q: use debug, info, warn or error", errUsage, level)
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(p.stderr, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, &options)), nil
	}
	return nil, fmt.Errorf("%w: --log-format %q: use text or json", errUsage, format)
}

// catchSIGPIPE keeps SIGPIPE from ending the service when the reader of its log is gone. Started programs have the default
// action, as the signal is caught and not ignored.
func catchSIGPIPE() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// notifyHangup returns a channel that receives a value for each SIGHUP, and a function that stops this.
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
