package nftables

import (
	"errors"
	"fmt"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// ErrUnprotected is returned by Protect on a kernel before 6.9, which has no table that outlives its owner. The table works
// without an owner.
var ErrUnprotected = errors.New("the kernel cannot protect the table: it needs Linux 6.9")

// owned are the flags of a table that only its owner can change, and that stays when the owner ends.
const owned = nftnl.Owner | nftnl.Persist

// Protect makes the table one that no other program can change or delete, or ends that. The owner is a socket: when the
// process ends, the table stays, and any program can change it.
func (f *Firewall) Protect(on bool) error {
	t := f.table
	if !on {
		return t.release()
	}
	if t.owner != nil {
		return nil
	}
	owner, err := openOwner()
	if err != nil {
		return err
	}
	t.owner = owner
	now, err := t.read()
	if err == nil && now.exists {
		err = t.claim(now)
	}
	if err != nil {
		return errors.Join(classify(err), t.release())
	}
	return nil
}

// release gives the table up. What was read of it has the flags of the owner still.
func (t *table) release() error {
	if t.owner == nil {
		return nil
	}
	err := t.owner.Close()
	t.owner, t.last = nil, nil
	return err
}

// openOwner opens a socket that can own tables; ErrUnprotected: the kernel has none that outlive their owner.
func openOwner() (*nftnl.Socket, error) {
	socket, err := nftnl.Open()
	if err != nil {
		return nil, err
	}
	if err := checkProtection(socket); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

// checkProtection returns ErrUnprotected on a kernel that does not know the flags. It changes nothing.
func checkProtection(socket *nftnl.Socket) error {
	refused, err := socket.Try([]nftnl.Request{nftnl.Table(marks.NFTTable + "-probe").Create(owned)})
	if err != nil || len(refused) == 0 {
		return err
	}
	return refusedFlags(refused[0])
}

// refusedFlags returns the meaning of the kernel's refusal of the flags.
func refusedFlags(r nftnl.RequestError) error {
	if errors.Is(r, unix.EOPNOTSUPP) || errors.Is(r, unix.EINVAL) {
		return ErrUnprotected
	}
	return classify(r)
}

// claim makes the owner's socket the owner of the table. A table that has no owner and persists is taken as it is; of
// another one the content is made anew, in the same transaction, as the kernel does not change its flags. Its counters
// restart at zero then.
func (t *table) claim(now *snapshot) error {
	if now.flags&owned == nftnl.Persist || now.flags&owned == owned {
		return t.owner.CommitAt(uint32(now.generation), []nftnl.Request{ownTable.Create(owned)})
	}
	requests, err := rebuild(now)
	if err != nil {
		return err
	}
	return t.owner.CommitAt(uint32(now.generation), requests)
}

// rebuild returns the requests that replace the table by one of the owner with the same content. A family with chains of
// another program is left out: its next change makes it.
func rebuild(now *snapshot) ([]nftnl.Request, error) {
	changes := map[bool]marks.Change{}
	for _, ipv6 := range families {
		if change, readable := now.ruleset(ipv6).Creation(); readable {
			changes[ipv6] = change
		}
	}
	made, err := makeTable(owned, changes)
	return append([]nftnl.Request{ownTable.Delete()}, made...), err
}

// errBelongsToService is returned for a change to a table that another process owns.
var errBelongsToService = errors.New("the running service owns the table (protect = true): replypath reload, or stop the service")

func belongsToService(err error) error {
	return fmt.Errorf("nftables: %w (%w)", errBelongsToService, err)
}
