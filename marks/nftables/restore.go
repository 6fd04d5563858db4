package nftables

import (
	"errors"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// PrepareRestore makes what Restore sends, and opens its socket, so that nothing is left to do then. changes make the chains and
// hooks of both families from nothing, by whether the family is IPv6; without chains there is nothing to restore.
func (f *Firewall) PrepareRestore(changes map[bool]marks.Change) (err error) {
	t := f.table
	t.lost = nil
	if len(changes[false].Chains)+len(changes[true].Chains) == 0 {
		return nil
	}
	if t.socket == nil {
		if t.socket, err = nftnl.Open(); err != nil {
			return err
		}
	}
	t.lost, err = makeTable(0, changes)
	return err
}

// Restore makes the table that another program has deleted, in one transaction and without reading anything. It reports whether
// it has: it does nothing if the table exists, or has an owner and thus cannot be lost.
func (f *Firewall) Restore() (restored bool, err error) {
	t := f.table
	if t.lost == nil || t.owner != nil {
		return false, nil
	}
	err = t.socket.Commit(t.lost)
	var refused nftnl.RequestError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &refused) && refused.First && refused.Errno == unix.EEXIST:
		return false, nil
	}
	return false, errors.Join(classify(err), f.Close())
}

// Close closes the lasting socket. A later Read or Apply opens one for itself.
func (f *Firewall) Close() error {
	t := f.table
	if t.socket == nil {
		return nil
	}
	err := t.socket.Close()
	t.socket, t.lost = nil, nil
	return err
}
