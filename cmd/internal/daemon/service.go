package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/control"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"

	"golang.org/x/sync/errgroup"
)

// Service keeps the host as its configuration asks until it is told to stop. Stopping changes nothing in the kernel.
type Service struct {
	ConfigFile string // the configuration file
	StateDir   string // the folder in which things are remembered, and where the control socket is
	Log        *slog.Logger
	Hangup     <-chan struct{} // asks for a reload
	Build      string          // which program this is, for its status

	host           *host.Host
	reconciler     *Reconciler
	loop           *Loop
	probers        *probers
	proofs         *proofScheduler
	journal        health.EventLog
	endpoint       *endpoint.Server
	hooks          *hook.Runner
	started        time.Time
	config         config.Config         // what is kept to; only the loop's goroutine
	previousConfig *config.Config        // what was kept to before it, while a change may go back; only the loop's goroutine
	transaction    *rollback.Transaction // only the loop's goroutine
	requests       chan loopRequest
	linkChanged    chan struct{} // a link has changed
	dirty          dirtySet      // since the last round
	lastReload     atomic.Pointer[reloadResult]

	fingerprint     func() (uint64, error) // of what the kernel does not announce
	lastFingerprint atomic.Uint64          // the host's fingerprint at the last round; 0 when the round has changed the host
	ready           atomic.Bool
}

// Run applies the configuration, says that it is ready, and keeps the host so until the context ends.
func (s *Service) Run(ctx context.Context) error {
	c, err := config.Read(s.ConfigFile)
	if err != nil {
		return err
	}
	s.host, err = host.Open(ctx, options(s.StateDir, c))
	if err != nil {
		return err
	}
	defer s.host.Close()
	if err := s.host.LockAsService(ctx); err != nil {
		return err
	}
	s.fingerprint = s.host.Fingerprint
	s.requests = make(chan loopRequest, control.MaxCalls)
	s.linkChanged = make(chan struct{}, 1)
	state, err := statedir.Open(s.StateDir)
	if err != nil {
		return err
	}
	if s.transaction, err = rollback.Open(state); err != nil {
		return err
	}
	settings, err := s.initialSettings(c.Settings)
	if err != nil {
		return err
	}
	if settings.Backend != c.Backend || settings.TableBase != c.TableBase {
		if err := s.host.Reconfigure(ctx, settings.Backend, settings.TableBase); err != nil {
			return err
		}
	}
	s.started = time.Now()
	s.reconciler = NewReconciler(s.host, s.Log, settings)
	s.loop = NewLoop(s.runRound)
	s.loop.ResyncInterval = min(s.loop.ResyncInterval, watchdogInterval())
	s.probers = newProbers()
	defer s.probers.close()
	s.initComponents(c)
	s.writeTableNames(settings)
	server, err := control.Listen(s.StateDir)
	if err != nil {
		return err
	}
	defer server.Close()
	return s.tasks(ctx, server)
}

func options(state string, c config.Config) host.Options {
	return host.Options{StateDir: state, Backend: c.Backend, TableBase: c.TableBase}
}

func (s *Service) tasks(ctx context.Context, server *control.Server) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.watchKernel(ctx, "links, routes and rules", s.host.WatchLinks) })
	g.Go(func() error { return s.watchKernel(ctx, "firewall", s.host.WatchFirewall) })
	g.Go(func() error { return s.pollFingerprint(ctx) })
	g.Go(func() error { return s.pollCarriers(ctx) })
	g.Go(func() error { return s.proofs.monitor.Run(ctx) })
	g.Go(func() error { return s.proofs.run(ctx) })
	g.Go(func() error { return s.endpoint.Serve(ctx) })
	g.Go(func() error { return s.hooks.Run(ctx) })
	g.Go(func() error { return s.handleHangups(ctx) })
	g.Go(func() error { return server.Serve(ctx, s) })
	g.Go(func() error { return s.loop.Run(ctx) })
	err := g.Wait()
	notify("STOPPING=1")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
