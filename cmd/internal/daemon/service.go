package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"
	"replypath/uplinks"

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

// request asks the loop's goroutine for a reload, or for a confirmation of the last one.
type request struct {
	confirm  bool
	deadline time.Duration // of a reload that goes back unless it is confirmed; 0: it stays
	answer   chan error
}

// reload is how the last reload ended.
type reload struct {
	At  time.Time
	Err error
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
	if err := s.host.TryLock(ctx); err != nil {
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

// watch begins anew whenever a subscription ends: its first event then brings a full look.
func (s *Service) watch(ctx context.Context, what string, watch func(context.Context, func(host.Change)) error) error {
	for {
		err := watch(ctx, func(c host.Change) {
			if c.Who != "" {
				s.keeper.Suspect(c.What, c.Who)
			}
			if c.Link.Name != "" {
				s.care.monitor.Link(c.Link.Name, c.Link.Up, c.Link.Carrier)
				s.stir()
			}
			s.announce(c.What, c.At)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Log.Warn("will subscribe again", "to", what, "err", err)
		if err := sleep(ctx, soon); err != nil {
			return err
		}
	}
}

// beat is how often is looked at what the kernel does not announce. It bounds how late such a change is repaired.
const beat = 250 * time.Millisecond

func (s *Service) pulse(ctx context.Context) error {
	for {
		now, err := s.fingerprint()
		if err != nil {
			s.Log.Debug("cannot look at sysctls", "err", err)
		} else if now != s.seen.Load() {
			s.nudge("sysctl or firewall", uplinks.Place{})
		}
		if err := sleep(ctx, beat); err != nil {
			return err
		}
	}
}

func (s *Service) hangups(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Hangup:
			// The loop logs how it went.
			_ = s.ask(ctx, request{})
		}
	}
}

// ask gives a request to the loop and waits for its end.
func (s *Service) ask(ctx context.Context, r request) error {
	r.answer = make(chan error, 1)
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.nudge("reload", uplinks.Place{})
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// round is what the loop does: what was asked for, then a look and the repairs.
func (s *Service) round(ctx context.Context, why string) time.Duration {
	err := s.revert(ctx)
	if err != nil {
		s.Log.Warn("will retry", "step", "go back to the previous configuration", "err", err)
	}
	select {
	case r := <-s.requests:
		err := s.grant(ctx, r)
		next := s.look(ctx, "asked for", nil)
		r.answer <- errors.Join(err, s.keeper.Report().Err)
		s.nudge("asked for", uplinks.Place{}) // another may wait
		return s.until(next)
	default:
	}
	return s.until(s.look(ctx, why, s.changed.take()))
}

// announce asks for a round and for a proof after it, because of a change at a place.
func (s *Service) announce(why string, at uplinks.Place) {
	s.care.changed(at)
	s.nudge(why, at)
}

// nudge asks for a round, because of a change at a place.
func (s *Service) nudge(why string, at uplinks.Place) {
	s.changed.note(at)
	s.loop.Nudge(why)
}

// look does the keeper's round, and notes what the pulse shall compare with. After a repair of what the kernel does not
// announce that is nothing: the same damage may be done again at once, and would look as if nothing had happened since
// the last beat.
func (s *Service) look(ctx context.Context, why string, at []uplinks.Place) time.Duration {
	before, seen := s.keeper.Report(), s.seen.Load()
	if len(at) == 0 {
		seen, _ = s.fingerprint() // the pulse tells of the error
	}
	next := s.keeper.Round(ctx, why, at...)
	r := s.keeper.Report()
	if r.silent() != before.silent() && r.Err == nil {
		seen = 0
	}
	s.seen.Store(seen)
	if r.InSync || r.Waiting > 0 {
		s.care.settled()
	}
	return next
}

// until notes how things stand, and when the loop must come again.
func (s *Service) until(next time.Duration) time.Duration {
	s.tell()
	if s.pending != nil && !s.pending.Reverted {
		return min(next, max(s.pending.Left(), time.Millisecond))
	}
	return next
}

func (s *Service) grant(ctx context.Context, r request) error {
	if r.confirm {
		return s.confirm()
	}
	return s.reread(ctx, r.deadline)
}

// reread takes a new configuration, when it can be read and planned whole. Otherwise the old one stays.
func (s *Service) reread(ctx context.Context, deadline time.Duration) error {
	notify("RELOADING=1")
	err := s.take(ctx, deadline)
	s.reloaded.Store(&reload{time.Now(), err})
	if err != nil {
		s.record(health.Event{Kind: eventReload, To: "refused", Text: "the new configuration is refused: " + firstLine(err.Error())})
		s.Log.Error("the new configuration is refused, the old one stays", "err", err)
		return fmt.Errorf("the new configuration is refused, the old one stays: %w", err)
	}
	s.record(health.Event{Kind: eventReload, To: "taken", Text: "a new configuration is in force"})
	s.Log.Info("configuration read", "uplinks", len(s.keeper.Settings().Uplinks))
	return nil
}

func (s *Service) take(ctx context.Context, deadline time.Duration) error {
	c, err := config.Read(s.Config)
	if err != nil {
		return err
	}
	old := s.keeper.Settings()
	if err := s.host.Adjust(ctx, c.Backend, c.TableBase); err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	_, findings, err := uplinks.Preview(ctx, s.host, c.Settings)
	if err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	if err := s.venture(old, c.Settings, deadline); err != nil {
		return errors.Join(err, s.host.Adjust(ctx, old.Backend, old.TableBase))
	}
	s.keeper.Tell(findings)
	s.keeper.Keep(c.Settings)
	s.name(c.Settings)
	s.tryOut(c, deadline != 0)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
