// Package trap sees which way questions and their answers take through the kernel, and takes the answers off before
// they leave. It is an nftables table that belongs to a socket: the kernel takes it away when the socket is closed, also
// when the process is killed. No rule of anybody's is touched, in neither iptables backend.
package trap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"replypath/health/proof"
)

// Name is the table's. There can be one only: whoever has it proves, and others wait.
const Name = "replypath-proof"

// Bait says what a trap looks at.
type Bait struct {
	Askers []netip.Addr // who the questions come from
	Links  []int        // the indices of the uplinks: no question may leave by one
	Count  int          // of questions
}

// Trap is a trap that is set.
type Trap struct{ socket *socket }

// wait is how long another's trap is waited for, between two looks.
const wait = 20 * time.Millisecond

// Open sets the trap. It waits while another one is set, until the context ends.
func Open(ctx context.Context, b Bait) (*Trap, error) {
	s, err := dial()
	if err != nil {
		return nil, err
	}
	for {
		err := s.commit(table(b))
		if err == nil {
			return &Trap{s}, nil
		}
		if !taken(err) || ctx.Err() != nil {
			s.close()
			return nil, fmt.Errorf("set a trap for answers: %w: %s", err, remedy(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// taken reports whether the table is there and another's. The kernel says it of the first change alone.
func taken(err error) bool {
	var r refused
	return errors.As(err, &r) && r.first && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST))
}

func remedy(err error) string {
	switch {
	case taken(err):
		return "another program proves at this moment"
	case errors.Is(err, unix.EPERM):
		return "it needs CAP_NET_ADMIN"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return "it needs Linux 5.12 or later, with nf_tables"
	}
	return "it needs the kernel modules nf_tables and nft_ct"
}

// Close takes the trap away.
func (t *Trap) Close() error {
	if err := t.socket.close(); err != nil {
		return fmt.Errorf("take the trap away: %w", err)
	}
	return nil
}

// Read gives all that was seen since the trap was set.
func (t *Trap) Read() (all proof.Sights, err error) {
	for _, f := range families {
		walked, err := t.walked(f)
		if err != nil {
			return all, err
		}
		left, err := t.left(f)
		if err != nil {
			return all, err
		}
		all.Sightings, all.Departures = append(all.Sightings, walked...), append(all.Departures, left...)
	}
	return all, nil
}

func (t *Trap) walked(f family) (all []proof.Sighting, err error) {
	err = t.socket.list(f.walked.list(), func(attributes []byte) {
		f.walked.keys(attributes, func(k [][]byte) {
			all = append(all, proof.Sighting{At: proof.Point(word(k[0])), Asker: address(k[1]),
				Number: port16(k[2]), Mark: word(k[3]), Ctmark: word(k[4])})
		})
	})
	return all, err
}

func (t *Trap) left(f family) (all []proof.Departure, err error) {
	err = t.socket.list(f.left.list(), func(attributes []byte) {
		f.left.keys(attributes, func(k [][]byte) {
			all = append(all, proof.Departure{Asker: address(k[0]), Number: port16(k[1]),
				From: address(k[2]), Replies: k[3][0] == 1, Link: int(word(k[4]))})
		})
	})
	return all, err
}

// port16 is in network order.
func port16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
