package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"

	"golang.org/x/sync/errgroup"
)

// Service keeps the host as its configuration asks until it is told to stop. Stopping changes nothing in the kernel.
type Service struct {
	Config string // the configuration file
	State  string // the folder in which things are remembered, and where the control socket is
	Log    *slog.Logger
	Hangup <-chan struct{} // asks for a reload
	Build  string          // which program this is, for its status

	host     *host.Host
	keeper   *Keeper
	loop     *Loop
	askers   *askers
	care     *care
	journal  health.Journal
	endpoint *endpoint.Server
	hooks    *hook.Runner
	started  time.Time
	asked    config.Config  // what is kept to; only the loop's goroutine
	before   *config.Config // what was kept to before it, while a change may go back; only the loop's goroutine
	memory   host.Memory
	pending  *host.Pending // only the loop's goroutine
	requests chan request
	stirred  chan struct{} // a link has changed
	changed  places        // since the last round
	reloaded atomic.Pointer[reload]

	fingerprint func() (uint64, error) // of what the kernel does not announce
	seen        atomic.Uint64          // the host's fingerprint at the last round; 0 when the round has changed the host
	ready       atomic.Bool
}

// Run applies the configuration, says that it is ready, and keeps the host so until the context ends.
func (s *Service) Run(ctx context.Context) error {
	c, err := config.Read(s.Config)
	if err != nil {
		return err
	}
	s.host, err = host.Open(ctx, options(s.State, c))
	if err != nil {
		return err
	}
	defer s.host.Close()
	if err := s.host.LockAsService(ctx); err != nil {
		return err
	}
	s.fingerprint = s.host.Fingerprint
	s.requests = make(chan request, callers)
	s.stirred = make(chan struct{}, 1)
	settings, err := s.begin(c.Settings)
	if err != nil {
		return err
	}
	if settings.Backend != c.Backend || settings.TableBase != c.TableBase {
		if err := s.host.Adjust(ctx, settings.Backend, settings.TableBase); err != nil {
			return err
		}
	}
	s.started = time.Now()
	s.keeper = NewKeeper(s.host, s.Log, settings)
	s.loop = NewLoop(s.round)
	s.loop.Refresh = min(s.loop.Refresh, feeding())
	s.askers = newAskers()
	defer s.askers.close()
	s.equip(c)
	s.name(settings)
	socket, err := listen(s.State)
	if err != nil {
		return err
	}
	defer socket.Close()
	return s.tasks(ctx, socket)
}

func options(state string, c config.Config) host.Options {
	return host.Options{State: state, Backend: c.Backend, TableBase: c.TableBase}
}

func (s *Service) tasks(ctx context.Context, socket *socket) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.watch(ctx, "links, routes and rules", s.host.WatchLinks) })
	g.Go(func() error { return s.watch(ctx, "firewall", s.host.WatchFirewall) })
	g.Go(func() error { return s.pulse(ctx) })
	g.Go(func() error { return s.carriers(ctx) })
	g.Go(func() error { return s.care.monitor.Run(ctx) })
	g.Go(func() error { return s.care.run(ctx) })
	g.Go(func() error { return s.endpoint.Serve(ctx) })
	g.Go(func() error { return s.hooks.Run(ctx) })
	g.Go(func() error { return s.hangups(ctx) })
	g.Go(func() error { return socket.serve(ctx, s.answer) })
	g.Go(func() error { return s.loop.Run(ctx) })
	err := g.Wait()
	notify("STOPPING=1")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
