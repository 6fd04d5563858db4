// Package trap sees which way questions and their answers take through the kernel, and takes the answers off before
// they leave. It is an nftables table that belongs to a socket: the kernel takes it away when the socket is closed, also
// when the process is killed. No rule of anybody's is touched, in neither iptables backend.
package capture

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

// Filter says what a trap looks at.
type Filter struct {
	Peers    []netip.Addr // who the questions come from
	Links    []int        // the indices of the uplinks: no question may leave by one
	Requests int          // of questions
}

// Capture is a trap that is set.
type Capture struct{ socket *socket }

// retryInterval is how long another's trap is waited for, between two looks.
const retryInterval = 20 * time.Millisecond

// Open sets the trap. It waits while another one is set, until the context ends.
func Open(ctx context.Context, b Filter) (*Capture, error) {
	s, err := openSocket()
	if err != nil {
		return nil, err
	}
	for {
		err := s.commit(tableRequests(b))
		if err == nil {
			return &Capture{s}, nil
		}
		if !tableExists(err) || ctx.Err() != nil {
			s.close()
			return nil, fmt.Errorf("set a trap for answers: %w: %s", err, hint(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryInterval):
		}
	}
}

// tableExists reports whether the table is there and another's. The kernel says it of the first change alone.
func tableExists(err error) bool {
	var r requestError
	return errors.As(err, &r) && r.first && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST))
}

func hint(err error) string {
	switch {
	case tableExists(err):
		return "another program proves at this moment"
	case errors.Is(err, unix.EPERM):
		return "it needs CAP_NET_ADMIN"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return "it needs Linux 5.12 or later, with nf_tables"
	}
	return "it needs the kernel modules nf_tables and nft_ct"
}

// Close takes the trap away.
func (t *Capture) Close() error {
	if err := t.socket.close(); err != nil {
		return fmt.Errorf("take the trap away: %w", err)
	}
	return nil
}

// Read gives all that was seen since the trap was set.
func (t *Capture) Read() (all proof.Observations, err error) {
	for _, f := range families {
		walked, err := t.observations(f)
		if err != nil {
			return all, err
		}
		left, err := t.egress(f)
		if err != nil {
			return all, err
		}
		all.Hooks, all.Egress = append(all.Hooks, walked...), append(all.Egress, left...)
	}
	return all, nil
}

func (t *Capture) observations(f captureFamily) (all []proof.Observation, err error) {
	err = t.socket.dump(f.hooks.dump(), func(attributes []byte) {
		f.hooks.keys(attributes, func(k [][]byte) {
			all = append(all, proof.Observation{Hook: proof.Hook(toUint32(k[0])), Peer: toAddr(k[1]),
				Port: bigEndian16(k[2]), Mark: toUint32(k[3]), Ctmark: toUint32(k[4])})
		})
	})
	return all, err
}

func (t *Capture) egress(f captureFamily) (all []proof.EgressObservation, err error) {
	err = t.socket.dump(f.egress.dump(), func(attributes []byte) {
		f.egress.keys(attributes, func(k [][]byte) {
			all = append(all, proof.EgressObservation{Peer: toAddr(k[0]), Port: bigEndian16(k[1]),
				Source: toAddr(k[2]), IsReply: k[3][0] == 1, Link: int(toUint32(k[4]))})
		})
	})
	return all, err
}

// bigEndian16 is in network order.
func bigEndian16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
