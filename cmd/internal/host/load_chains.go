package host

import (
	"context"
	"errors"
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// WhileLoading sets what runs beside each change of chains, until done is closed: as long as another program has the firewall locked.
// It may write routes and rules by this host, nothing else. Nil: nothing runs.
func (h *Host) WhileLoading(run func(done <-chan struct{})) { h.whileLoading = run }

// loadAndAdopt changes chains, and the connections that began before. Beside it runs whileLoading.
func (h *Host) loadAndAdopt(ctx context.Context, s uplinks.LoadChains) error {
	if h.whileLoading != nil {
		done, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			h.whileLoading(done)
		}()
		defer func() {
			close(done)
			<-ended
		}()
	}
	// The table of marks.Backup translates what begins from now on. What began before would get its mark by the chains, and leave with it
	// untranslated, past the filters at egress, until it is forgotten.
	if err := deleteUntranslated(s.Untranslated); err != nil {
		return err
	}
	if err := h.loadChains(ctx, s); err != nil {
		return err
	}
	return errors.Join(adopt(s.Adopt), deleteUntranslated(s.Untranslated))
}

// loadChains applies the change of a step. A table that replypath has created is deleted with its last rule, if it is
// empty then.
func (h *Host) loadChains(ctx context.Context, s uplinks.LoadChains) error {
	t := h.firewall.table(s.Firewall.Family, s.Firewall.Backend)
	if t == nil {
		return fmt.Errorf("%s: no iptables command for the backend %q: %w", s.Firewall.Family, s.Firewall.Backend, marks.ErrNotFound)
	}
	h.chains.Lock()
	defer h.chains.Unlock()
	h.counters.reset(s)
	err := h.ownGenerations.track(t, func() error { return h.loadTable(ctx, t, s) })
	if err == nil && s.Change.MakesChains() {
		err = h.renewBackup()
	}
	return err
}

func (h *Host) loadTable(ctx context.Context, t marks.Firewall, s uplinks.LoadChains) error {
	name := tableName(s.Firewall.Family, s.Firewall.Backend)
	if s.Unload {
		return h.unloadTable(ctx, t, name, s.Change)
	}
	exists, err := t.Exists()
	if err != nil {
		return err
	}
	if exists {
		return t.Apply(ctx, s.Change)
	}
	if err := h.originals.AddTable(name); err != nil {
		return err
	}
	if err := t.Apply(ctx, s.Change); err != nil {
		return errors.Join(err, h.deleteTable(t, name))
	}
	return nil
}

// deleteTable deletes a table that a failed command left empty. A command that was killed may have done its work: the
// table and its entry in the saved originals then stay.
func (h *Host) deleteTable(t marks.Firewall, name string) error {
	if err := t.DeleteEmpty(); err != nil {
		return err
	}
	if exists, err := t.Exists(); exists || err != nil {
		return err
	}
	return h.originals.DropTable(name)
}

func (h *Host) unloadTable(ctx context.Context, t marks.Firewall, name string, c marks.Change) error {
	if err := t.Apply(ctx, c); err != nil {
		return err
	}
	if !h.originals.HasTable(name) {
		return nil
	}
	if err := t.DeleteEmpty(); err != nil {
		return err
	}
	return h.originals.DropTable(name)
}

// DropOriginals removes all saved originals, after a flush: each one is restored, or another program has changed the
// value since. It deletes the tables that replypath made and an interrupted flush left empty.
func (h *Host) DropOriginals() error {
	var errs []error
	for f, tables := range h.firewall.families {
		for b, t := range tables {
			if h.originals.HasTable(tableName(f, b)) {
				errs = append(errs, t.DeleteEmpty())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.originals.Clear()
}

// tableName returns the name of a firewall table in the saved originals.
func tableName(f uplinks.Family, b marks.Backend) string { return fmt.Sprintf("%s %s", f, b) }
