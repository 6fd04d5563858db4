package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"replypath/cmd/internal/configstore"
	"replypath/cmd/internal/control"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/prover"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/health"
	"replypath/health/hook"
	"replypath/health/monitor"

	"golang.org/x/sync/errgroup"
)

// Options say what the service keeps, and how.
type Options struct {
	ConfigFile string
	StateDir   string // has the control socket too
	Log        *slog.Logger
	Hangup     <-chan struct{} // each value reloads the configuration
	Build      string          // of the program, for the status
}

// Run applies the configuration, and keeps the host in sync with it until the context ends. It leaves the kernel as it is
// then.
func Run(ctx context.Context, o Options) error {
	state, err := statedir.Open(o.StateDir)
	if err != nil {
		return err
	}
	start, err := readStart(o, state)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	early := newEarlyEndpoint(o.Log, o.Build, start.Config)
	early.serve(ctx)
	err = runWithEndpoint(ctx, o, state, start, early)
	stop()
	<-early.served
	return err
}

// readStart returns what the service starts with, as far as that is known before it has locked the host.
func readStart(o Options, state statedir.Dir) (startConfiguration, error) {
	transaction, err := rollback.Open(state)
	if err != nil {
		return startConfiguration{}, err
	}
	return chooseConfiguration(o.ConfigFile, configstore.New(o.StateDir, o.ConfigFile), transaction)
}

func runWithEndpoint(ctx context.Context, o Options, state statedir.Dir, start startConfiguration, early *earlyEndpoint) error {
	h, err := host.Open(ctx, host.Options{StateDir: o.StateDir, Backend: start.settings.Backend, Protect: start.settings.Protect, TableBase: start.settings.TableBase, Proxies: start.settings.Proxies(), Settings: start.settings})
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.LockAsService(ctx); err != nil {
		return err
	}
	opened := start.settings
	transaction, err := rollback.Open(state)
	if err != nil {
		return err
	}
	// Another replypath may have changed the transaction before the host was locked.
	if start, err = chooseConfiguration(o.ConfigFile, configstore.New(o.StateDir, o.ConfigFile), transaction); err != nil {
		return err
	}
	if err := start.endOtherTransaction(transaction); err != nil {
		return err
	}
	if !reflect.DeepEqual(opened, start.settings) {
		if err := h.Reconfigure(ctx, start.settings); err != nil {
			return err
		}
	}
	if err := h.ResolveRouters(ctx, start.settings); err != nil {
		o.Log.Warn("cannot resolve the routers by which uplinks are distinguished, they are learnt later", "err", err)
	}
	probers, err := newProbers()
	if err != nil {
		return err
	}
	defer probers.close()
	restore, err := rollback.OpenRestore(state)
	if err != nil {
		return err
	}
	if err := restore.LeaveOurs(); err != nil {
		return err
	}
	s := newService(o, start, dependencies{h, prover.Prover{Rules: &prover.RuleCache{}}, probers.byKind(), transaction, restore, early, newRouterPoller(probers.routers, probers.neighbours, h, o.Log)})
	s.useKernelTimers()
	s.configuration.reportStart(start)
	s.configuration.writeTableNames(start.settings)
	server, err := control.Listen(o.StateDir)
	if err != nil {
		return err
	}
	defer server.Close()
	return s.run(ctx, server)
}

// Host is the kernel of the service. *host.Host implements it.
type Host interface {
	reconfigurable
	Fingerprinter
	ReplyCounter
	LinkEvents() host.EventSource
	FirewallEvents() host.EventSource
	OutputEvents() host.EventSource
	RouterEvents() host.EventSource
}

// dependencies are what the service uses of the world.
type dependencies struct {
	host        Host
	prover      Prover
	probers     map[health.ProbeKind]health.Prober
	transaction *rollback.Transaction
	restore     *rollback.Restore
	endpoint    *earlyEndpoint
	routers     *routerPoller // nil: the kernel of a test has no neighbours
}

// Service has the components of the service. It implements control.Service.
type Service struct {
	*statusSource
	configFile    string
	reconciler    *Reconciler
	configuration *configuration
	requests      *requestQueue
	proofs        *proofScheduler
	loop          *Loop
	links         *kernelWatcher
	firewall      *kernelWatcher
	output        *kernelWatcher
	routerMACs    *kernelWatcher
	routers       *routerPoller
	fingerprints  *fingerprintPoller
	carriers      *carrierPoller
	hangups       *hangupWatcher
	hooks         *hook.Runner
	peers         *peerPoller
	mismarks      *mismarkPoller
	mover         *outboundMover // nil: the kernel of a test moves no connections
	checks        *proxyCheckLoop
}

// newService connects the components, and puts the configuration in force, with these settings of the kernel. It starts
// nothing.
func newService(o Options, start startConfiguration, d dependencies) *Service {
	queue, reloads, events, hooks := newRoundQueue(), &reloadStatus{}, d.endpoint.events, hook.New(o.Log)
	verdicts := &verdicts{queue: queue}
	recorder := &eventRecorder{events: events, hooks: hooks, verdicts: verdicts, log: o.Log}
	m, peers, mismarks := monitor.New(d.probers), newPeerPoller(recorder, o.Log), newMismarkPoller(o.Log)
	proofs := newProofScheduler(m, d.prover, d.host, queue, o.Log)
	store := configstore.New(o.StateDir, o.ConfigFile)
	saver, comparison := &configurationSaver{store: store, log: o.Log}, &fileComparison{path: o.ConfigFile, store: store}
	proxies, udp, flows := &proxyStates{recorder: recorder}, &observedStatus[health.UDPStatus]{from: health.NewUDPStatus}, &observedStatus[health.AccelerationStatus]{from: health.NewAccelerationStatus}
	table, _ := d.host.(foundRouterTable)
	finder := newRouterFinder(table, queue, o.Log)
	reconciler := NewReconciler(d.host, o.Log, start.settings, verdicts, &roundListener{proofs, recorder, mismarks, proxies, d.routers, udp, flows, finder})
	outbound := newOutboundStates(recorder, o.Log)
	var mover *outboundMover
	if k, moves := d.host.(connectionMover); moves {
		mover = newOutboundMover(k, outbound, o.Log)
		reconciler.mover = mover
	}
	saving := &savingReport{host: d.host, log: o.Log}
	manager := &managerNotifier{reports: reconciler.reports, reloads: reloads, saving: saving}
	status := &statusSource{build: o.Build, started: time.Now(), reports: reconciler.reports, reloads: reloads, manager: manager, monitor: m, events: events, peers: peers, mismarks: mismarks, proxies: proxies, routers: d.routers, finder: finder, udp: udp, flows: flows}
	manager.saver, status.saver, status.comparison, status.outbound = saver, saver, comparison, outbound
	server := d.endpoint.server
	d.endpoint.use(status)
	m.OnEvent, m.OnOutcome = recorder.HandleMonitorEvent, server.Metrics().Observe
	m.OnDegradation, m.OnHoldDown = verdicts.HandleDegradation, verdicts.HandleHoldDown

	requests := newRequestQueue(queue)
	fingerprints := &fingerprintPoller{host: d.host, queue: queue, rules: proofs, log: o.Log}
	configuration := &configuration{file: o.ConfigFile, host: d.host, reconciler: reconciler, proofs: proofs, endpoint: server, hooks: hooks,
		recorder: recorder, peers: peers, reloads: reloads, transaction: d.transaction, restore: d.restore, saver: saver, comparison: comparison, log: o.Log, confirmed: start.previous,
		startSaved: start.refused != nil || start.pending}
	configuration.use(start.loadedConfig)
	rounds := &roundRunner{queue, requests, configuration, reconciler, fingerprints, proofs, manager, saving}

	changes := &changeNotifier{proofs, queue}
	carriers := newCarrierPoller(proofs, m, changes)
	watcher := func(events host.EventSource) *kernelWatcher {
		return &kernelWatcher{events, m, reconciler.suspects, carriers, changes, o.Log}
	}
	return &Service{
		statusSource: status, configFile: o.ConfigFile, reconciler: reconciler, configuration: configuration, requests: requests, proofs: proofs,
		loop:  &Loop{queue: queue, rounds: rounds, resync: min(resyncInterval, watchdogInterval())},
		links: watcher(d.host.LinkEvents()), firewall: watcher(d.host.FirewallEvents()), output: watcher(d.host.OutputEvents()), routerMACs: watcher(d.host.RouterEvents()), routers: d.routers, fingerprints: fingerprints, carriers: carriers,
		hangups: &hangupWatcher{o.Hangup, requests}, hooks: hooks, peers: peers, mismarks: mismarks, mover: mover, checks: newProxyCheckLoop(d.host),
	}
}

// useKernelTimers gives the components that are never at rest timers of the kernel.
func (s *Service) useKernelTimers() {
	s.monitor.Timers, s.fingerprints.timers, s.carriers.timers, s.checks.timers = newKernelTimer, newKernelTimer, newKernelTimer, newKernelTimer
}

// run starts a goroutine for each component, and returns when the context ends or one of them fails.
func (s *Service) run(ctx context.Context, server *control.Server) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.links.Run(ctx) })
	g.Go(func() error { return s.firewall.Run(ctx) })
	g.Go(func() error { return s.output.Run(ctx) })
	g.Go(func() error { return s.routerMACs.Run(ctx) })
	g.Go(func() error { return s.finder.Run(ctx) })
	if s.routers != nil {
		g.Go(func() error { return s.routers.Run(ctx) })
	}
	g.Go(func() error { return s.fingerprints.Run(ctx) })
	g.Go(func() error { return s.carriers.Run(ctx) })
	g.Go(func() error { return s.monitor.Run(ctx) })
	g.Go(func() error { return s.proofs.Run(ctx) })
	g.Go(func() error { return s.hooks.Run(ctx) })
	g.Go(func() error { return s.checks.Run(ctx) })
	g.Go(func() error { return s.peers.Run(ctx) })
	g.Go(func() error { return s.mismarks.Run(ctx) })
	if s.mover != nil {
		g.Go(func() error { return s.mover.Run(ctx) })
		g.Go(func() error { return s.outbound.Run(ctx) })
	}
	g.Go(func() error { return s.hangups.Run(ctx) })
	g.Go(func() error { return server.Serve(ctx, s) })
	g.Go(func() error { return s.loop.Run(ctx) })
	err := g.Wait()
	notify("STOPPING=1")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Reload implements control.Service. It refuses the request of a caller that reads another file.
func (s *Service) Reload(ctx context.Context, r control.Reload) error {
	if r.ConfigFile != "" && r.ConfigFile != s.configFile {
		return fmt.Errorf("the service reads %s, not %s: change that file, or restart the service with --config %[2]s", s.configFile, r.ConfigFile)
	}
	return s.requests.Submit(ctx, reloadRequest{confirmWithin: r.ConfirmWithin})
}

// Status implements control.Service. It compares the configuration file now.
func (s *Service) Status() health.Status {
	s.comparison.update()
	return s.statusSource.Status()
}

// Verdicts implements control.Service.
func (s *Service) Verdicts() []health.PathVerdict {
	return health.ListVerdicts(s.reconciler.verdicts.Snapshot())
}

// Drain implements control.Service.
func (s *Service) Drain(ctx context.Context, d control.Drain) error {
	return s.requests.Submit(ctx, drainRequest{d.Uplink, d.Drained, d.Move})
}

// Confirm implements control.Service.
func (s *Service) Confirm(ctx context.Context) error {
	return s.requests.Submit(ctx, confirmRequest{})
}
