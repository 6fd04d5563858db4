package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/rollback"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/health/hook"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// reconfigurable is a kernel whose firewall backend and routing tables can change. *host.Host implements it.
type reconfigurable interface {
	uplinks.Kernel
	Reconfigure(ctx context.Context, s uplinks.Settings) error
	// UnsavedOriginals returns why the original values of what was changed are not on disk.
	UnsavedOriginals() error
}

// configuration puts the configuration file in force. It is owned by the goroutine of the loop.
type configuration struct {
	file        string
	host        reconfigurable
	reconciler  *Reconciler
	proofs      *proofScheduler
	endpoint    *endpoint.Server
	hooks       *hook.Runner
	recorder    *eventRecorder
	peers       *peerPoller
	reloads     *reloadStatus
	transaction *rollback.Transaction
	restore     *rollback.Restore
	saver       *configurationSaver
	comparison  *fileComparison
	log         *slog.Logger

	inForce    loadedConfig
	confirmed  *loadedConfig // in force before a change that is not confirmed yet; nil: there is none
	startSaved bool          // that of the start is saved, or must not be
}

// reloadStatus is the result of the last reload. Safe for concurrent use.
type reloadStatus struct{ last atomic.Pointer[reloadResult] }

type reloadResult struct {
	At  time.Time
	Err error
}

// errUnconfirmed is the result of a reload that was rolled back: status reports it until a reload succeeds.
var errUnconfirmed = errors.New("the configuration was not confirmed in time: the previous one is in force, and differs from the file: correct the file, or use it all the same: replypath reload")

// use puts everything but the kernel's settings in force.
func (c *configuration) use(next loadedConfig) {
	c.inForce = next
	c.compare()
	c.proofs.configure(next.Health)
	c.endpoint.Set(next.Endpoint)
	c.hooks.SetPrograms(next.Health.OnChange)
	c.peers.setFingerprint(c.reconciler.Settings())
	c.peers.configure(next.Peer)
}

// Reload reads the file again, and puts it in force if it can be read and planned as a whole.
func (c *configuration) Reload(ctx context.Context, confirmWithin time.Duration) error {
	notify("RELOADING=1")
	err := c.replace(ctx, confirmWithin)
	c.reloads.last.Store(&reloadResult{time.Now(), err})
	if err != nil {
		c.recorder.Record(health.Event{Kind: eventReload, To: "refused", Text: "the new configuration is refused: " + firstLine(err.Error())})
		c.log.Error("the new configuration is refused, the old one stays in force", "err", err)
		return fmt.Errorf("the new configuration is refused, the old one stays in force: %w", err)
	}
	c.recorder.Record(health.Event{Kind: eventReload, To: "taken", Text: "a new configuration is in force"})
	c.log.Info("a new configuration is in force", "uplinks", len(c.inForce.Uplinks))
	return nil
}

func (c *configuration) replace(ctx context.Context, confirmWithin time.Duration) error {
	next, err := loadFile(c.file)
	if err != nil {
		return err
	}
	before := c.reconciler.Settings()
	observed, err := c.prepare(ctx, before, next, confirmWithin)
	if err != nil {
		return errors.Join(err, c.host.Reconfigure(ctx, before))
	}
	c.startSaved = true
	c.reconciler.LogFindings(inspect.BeforeChange(next.Settings, observed))
	c.reconciler.SetSettings(next.Settings, causeReload)
	c.writeTableNames(next.Settings)
	switch {
	case confirmWithin == 0:
		c.confirmed = nil
	case c.confirmed == nil:
		inForce := c.inForce
		c.confirmed = &inForce
	}
	c.use(next)
	return nil
}

// prepare plans the new settings and saves what they are rolled back to. After an error the host must be reconfigured.
func (c *configuration) prepare(ctx context.Context, before uplinks.Settings, next loadedConfig, confirmWithin time.Duration) (uplinks.Observation, error) {
	if err := c.host.Reconfigure(ctx, next.Settings); err != nil {
		return uplinks.Observation{}, err
	}
	_, observed, err := uplinks.Preview(ctx, c.host, next.Settings, nil)
	if err != nil {
		return observed, err
	}
	if confirmWithin != 0 {
		c.saver.awaitConfirmation(next.files)
		return observed, c.transaction.Arm(next.Settings, &before, confirmWithin)
	}
	if err := c.transaction.Keep(next.Settings); err != nil {
		return observed, err
	}
	c.saver.confirm(next.files)
	return observed, nil
}

// Confirm keeps the configuration of the last reload, and a snapshot that was restored before the service started.
func (c *configuration) Confirm() error { return rollback.CommitAll(c.restore.Commit, c.confirmReload) }

func (c *configuration) confirmReload() error {
	if err := c.transaction.Commit(); err != nil {
		return err
	}
	c.confirmed = nil
	c.saver.confirm(c.inForce.files)
	c.compare()
	c.log.Info("the configuration is confirmed")
	return nil
}

// compare compares the file with what is in force.
func (c *configuration) compare() {
	var by time.Time
	if c.transaction.Armed() {
		by = time.Now().Add(c.transaction.Remaining())
	}
	c.comparison.use(c.inForce, by)
}

// keepStart saves the settings of the start, so that a later change without a service can be rolled back to them.
func (c *configuration) keepStart() {
	if s := c.reconciler.Settings(); !c.transaction.Committed(s) {
		if err := c.transaction.Keep(s); err != nil {
			c.log.Warn("cannot save the settings: a later apply --confirm without the service cannot be rolled back to them", "err", err)
		}
	}
}

// finishRound saves the configuration once it has been applied after the start, and again what could not be saved.
func (c *configuration) finishRound(applied bool) {
	if applied && !c.startSaved {
		c.startSaved = true
		c.saver.confirmNew(c.inForce.files)
		c.keepStart()
	}
	c.saver.retry()
	c.comparison.updateIfOld()
}

// rollBackIfDue restores the previous configuration when the deadline for a confirmation is over.
func (c *configuration) rollBackIfDue(ctx context.Context) {
	done, err := c.transaction.Rollback(ctx, c)
	if done {
		c.compare()
		c.log.Error(errUnconfirmed.Error())
		c.reloads.last.Store(&reloadResult{time.Now(), errUnconfirmed})
		c.recorder.Record(health.Event{Kind: eventReload, To: "refused", Text: errUnconfirmed.Error()})
	}
	if err != nil {
		c.log.Warn("cannot restore the previous configuration, will retry", "err", err)
	}
}

// Restore implements rollback.Restorer.
func (c *configuration) Restore(ctx context.Context, s uplinks.Settings) error {
	if err := c.host.Reconfigure(ctx, s); err != nil {
		return err
	}
	c.reconciler.SetSettings(s, causeRollback)
	c.peers.setFingerprint(s)
	c.writeTableNames(s)
	if c.confirmed != nil {
		c.use(*c.confirmed)
		c.confirmed = nil
		return nil
	}
	c.inForce.Settings, c.inForce.files = s, nil // of the previous configuration only the settings are known
	return nil
}

// untilDeadline shortens the time to the next round so that a rollback comes at its deadline.
func (c *configuration) untilDeadline(next time.Duration) time.Duration {
	if c.transaction.Armed() {
		next = min(next, max(c.transaction.Remaining(), time.Millisecond))
	}
	if c.restore.Armed() && !c.restore.Due() { // one that failed is retried by the next round
		next = min(next, max(c.restore.Remaining(), time.Millisecond))
	}
	return next
}

// rollBackRestoreIfDue undoes a restored snapshot when the deadline for its confirmation is over.
func (c *configuration) rollBackRestoreIfDue(ctx context.Context) {
	undoer, undoes := c.host.(rollback.Undoer)
	if !undoes {
		return
	}
	done, err := c.restore.Rollback(ctx, undoer)
	if done {
		c.log.Warn("a restored snapshot was not confirmed in time: what it had changed of other programs is rolled back")
	}
	if err != nil {
		c.log.Warn("cannot roll back a restored snapshot, will retry", "err", err)
	}
}

// writeTableNames names the routing tables of the uplinks. Nothing but the output of ip(8) depends on it.
func (c *configuration) writeTableNames(s uplinks.Settings) {
	if err := iproute.WriteTableNames(s); err != nil {
		c.log.Warn("cannot name the routing tables: ip(8) shows their numbers", "err", err)
	}
}
