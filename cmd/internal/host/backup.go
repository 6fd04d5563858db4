package host

import (
	"errors"

	"replypath/marks"
	"replypath/marks/nftables"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// backup reads and writes the table that translates sources once more. It is used by the methods of Host of which one runs at a time.
type backup struct {
	settings uplinks.Settings
	table    nftables.Backup
	refused  refusal
	now      marks.Backup // the table that the kernel has, as it was read or written last; the zero value: none, or a damaged one
}

// set sets the settings whose sources are translated.
func (b *backup) set(s uplinks.Settings) { b.settings, b.refused = s, refusal{} }

// read adds the table to the state, and to the facts why the kernel refuses it. The facts have the firewalls already.
func (b *backup) read(facts *uplinks.Facts, state *uplinks.State) error {
	want, wanted := b.settings.Backup(*facts)
	exists, matches, err := b.table.Read(want)
	b.now = marks.Backup{}
	switch {
	case errors.Is(err, unix.EPERM) && !wanted:
		return nil
	case err != nil:
		return err
	case exists && matches && wanted:
		state.Backup[want], b.now = true, want
	case exists:
		state.Backup[marks.Backup{}] = true
	case wanted:
		b.refused.check(func() error { return b.table.Check(want) })
	}
	facts.BackupRefused = b.refused.text(exists)
	return nil
}

// belongingTo makes the table that belongs to the chains of a desired state a part of it, and reads whether the kernel has it.
func (b *backup) belongingTo(want, have uplinks.State) error {
	table, ok := want.BackupOfChains()
	exists, matches, err := b.table.Read(table)
	if !ok || err != nil || !exists && b.table.Check(table) != nil {
		return err
	}
	want.Backup[table] = true
	clear(have.Backup)
	if exists && matches {
		have.Backup[table] = true
	} else if exists {
		have.Backup[marks.Backup{}] = true
	}
	return nil
}

// setBackup makes the table.
func (h *Host) setBackup(b marks.Backup) error {
	h.backup.now = marks.Backup{}
	err := h.ownGenerations.trackNFT(func() error { return h.backup.table.Set(b) })
	if err == nil {
		h.backup.now = b
	}
	return err
}

// renewBackup makes the table anew, after a table that gives marks was or may have been made: a flush deletes tables in the order in
// which they were made, while packets pass, and what has a mark must be translated as long as it gets one.
func (h *Host) renewBackup() error {
	if h.backup.now == (marks.Backup{}) {
		return nil
	}
	return h.setBackup(h.backup.now)
}

// SetBackup makes the table that translates sources once more.
func (w *stepWriter) SetBackup(b marks.Backup) {
	w.flush()
	w.host.chains.Lock()
	defer w.host.chains.Unlock()
	w.errs = append(w.errs, w.host.setBackup(b))
}

// DelBackup deletes the table that translates sources once more.
func (w *stepWriter) DelBackup() {
	w.flush()
	w.host.chains.Lock()
	defer w.host.chains.Unlock()
	w.host.backup.now = marks.Backup{}
	w.errs = append(w.errs, w.host.ownGenerations.trackNFT(w.host.backup.table.Delete))
}
