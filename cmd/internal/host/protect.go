package host

import (
	"errors"

	"replypath/marks"
	"replypath/marks/nftables"
)

// protect makes the table of nftables one that only this process can change, where that is the backend, or ends that.
func (fw *Firewall) protect(wanted bool) error {
	fw.unprotected = ""
	if wanted && fw.backend != marks.Nftables {
		fw.unprotected = "the rules are loaded by iptables"
	}
	err := fw.native.Protect(wanted && fw.backend == marks.Nftables)
	if errors.Is(err, nftables.ErrUnprotected) {
		fw.unprotected, err = err.Error(), nil
	}
	return err
}

// protect makes the tables of nftables such that only this process can change them, or ends that.
func (h *Host) protect(wanted bool) error {
	if err := h.firewall.protect(wanted); err != nil {
		return err
	}
	translates := h.backup.settings.Outbound.Translates()
	err := h.backup.table.Protect(wanted && translates)
	switch {
	case errors.Is(err, nftables.ErrUnprotected):
		h.firewall.unprotected, err = err.Error(), nil
	case translates:
		h.firewall.unprotected = "" // what iptables loads has a backup
	}
	return err
}

// release gives the table up.
func (fw *Firewall) release() error {
	if fw.native == nil {
		return nil
	}
	return errors.Join(fw.native.Protect(false), fw.native.Close())
}
