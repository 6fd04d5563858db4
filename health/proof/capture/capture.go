// Package capture observes injected requests and their replies at the hooks of the kernel's packet flow, and drops the replies
// before they leave. It uses an nftables table that a netlink socket owns (NFT_TABLE_F_OWNER, Linux 5.12): the kernel deletes
// the table when the socket is closed, also when the process is killed. No other table is changed, whichever iptables backend
// the host uses.
package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"replypath/health/proof"
	"replypath/marks/nftnl"
	"replypath/uplinks/rpdb"

	"golang.org/x/sys/unix"
)

// Name is the name of the table. Its owner is the only process of the network namespace that can capture; others wait.
const Name = "replypath-proof"

// Filter selects the packets that are captured.
type Filter struct {
	Peers    []netip.Addr // the sources of the requests
	Links    []int        // the indices of the uplinks' interfaces: a request that would leave by one is dropped
	Requests int          // their number
	Secret   proof.Secret // of the requests
	// FirstPort and LastPort are the bounds of the peers' ports.
	FirstPort, LastPort uint16
	DatagramPorts       []uint16 // the servers' ports of requests by UDP
	StandIns            []StandIn
	Proxies             ProxyStandIn
	Mask                uint32 // of the marks of connections, which are cleared for a moment
	// Devices are the links whose egress is observed, NextHops the neighbours, and Direct the links without neighbours, to which
	// packets are sent at once: other replies are dropped in POSTROUTING.
	Devices  []string
	NextHops []NextHop
	Direct   []int
	// Trace makes nftables report each rule that packets from and to the peers match (meta nftrace).
	Trace bool
}

// Capture is a running capture. Not safe for concurrent use.
type Capture struct {
	socket   *nftnl.Socket
	features features
	read     counts // of the last reading
}

// retryInterval is the time between two attempts while another process captures.
const retryInterval = 20 * time.Millisecond

// Open starts a capture. While another process captures it waits, until ctx is done.
func Open(ctx context.Context, filter Filter) (*Capture, error) {
	s, err := nftnl.Open()
	if err != nil {
		return nil, err
	}
	kernel := features{zones: true, ipsec: true, wire: len(filter.Devices) > 0, tproxy: len(filter.Proxies.Sockets) > 0}
	for {
		err := s.Commit(tableRequests(filter, kernel))
		if err == nil {
			return &Capture{socket: s, features: kernel}, nil
		}
		if kernel.disable(err) {
			continue
		}
		if !tableExists(err) || ctx.Err() != nil {
			s.Close()
			return nil, fmt.Errorf("capture the replies: %w: %s", err, hint(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryInterval):
		}
	}
}

// disable disables the feature that the kernel refused, and reports whether it was one.
func (k *features) disable(err error) bool {
	var r nftnl.RequestError
	switch {
	case !errors.As(err, &r) || r.First:
		return false
	case k.wire && r.Operation == operationWire: // also when a link has just gone
		k.wire = false
	case k.ipsec && r.Operation == operationIPsec:
		k.ipsec = false
	case k.tproxy && r.Operation == operationTProxy:
		k.tproxy = false
	case k.zones && errors.Is(err, unix.EOPNOTSUPP):
		k.zones = false
	default:
		return false
	}
	return true
}

// tableExists reports whether another process owns the table. The kernel reports that for the first request of the batch.
func tableExists(err error) bool {
	var r nftnl.RequestError
	return errors.As(err, &r) && r.First && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST))
}

func hint(err error) string {
	switch {
	case tableExists(err):
		return "another process runs a proof"
	case errors.Is(err, unix.EPERM):
		return "it needs CAP_NET_ADMIN"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return "it needs Linux 5.12 or later, with nf_tables"
	}
	return "it needs the kernel modules nf_tables and nft_ct"
}

// StandsInForProxies reports whether the sockets of the filter get what is for transparent proxies.
func (c *Capture) StandsInForProxies() bool { return c.features.tproxy }

// Close ends the capture.
func (c *Capture) Close() error {
	if err := c.socket.Close(); err != nil {
		return fmt.Errorf("end the capture: %w", err)
	}
	return nil
}

// Read returns all observations since the capture was started.
func (c *Capture) Read() (all proof.Observations, err error) {
	all.Hooks, all.Egress, all.Wire = make([]proof.Observation, 0, c.read.hooks), make([]proof.EgressObservation, 0, c.read.egress), make([]proof.WireObservation, 0, c.read.wire)
	for _, f := range families {
		if err := c.observations(f, &all); err != nil {
			return all, err
		}
		if err := c.egress(f, &all); err != nil {
			return all, err
		}
		if !c.features.wire {
			continue
		}
		if err := c.wire(f, &all); err != nil {
			return all, err
		}
	}
	all.WireObserved = c.features.wire
	c.read = counts{len(all.Hooks), len(all.Egress), len(all.Wire)}
	return all, nil
}

// counts are the numbers of the observations of one reading.
type counts struct{ hooks, egress, wire int }

func (c *Capture) observations(f captureFamily, all *proof.Observations) error {
	keys := newKeyReader(f.hooks)
	return c.socket.Dump(table.ListElements(f.hooks.name), func(attributes []byte) {
		keys.read(attributes, func(k [][]byte) {
			word := toUint32(k[0])
			o := proof.Observation{Hook: proof.Hook(word), Proto: byte(word >> shiftProto), Mark: toUint32(k[4]), Ctmark: toUint32(k[5]),
				Link: int(toUint32(k[6])), State: proof.ConnectionState(toUint32(k[7]))}
			peer, host := toAddr(k[1]), toAddr(k[2])
			if isReply(o.Hook) {
				peer, host = host, peer
			}
			var port uint16
			o.Port, port = ports(word, k[3])
			o.Peer, o.Host = peer, netip.AddrPortFrom(host, port)
			o.Error = isReply(o.Hook) && word&bitPeerLast == 0 && rpdb.HasPorts(o.Proto)
			if o.Hook == proof.PreroutingMarked {
				o.Taken = toUint32(k[8])&statusConfirmed != 0
			} else {
				o.Zone = binary.NativeEndian.Uint16(k[8])
			}
			all.Hooks = append(all.Hooks, o)
		})
	})
}

// statusConfirmed is IPS_CONFIRMED (linux/netfilter/nf_conntrack_common.h).
const statusConfirmed = 1 << 3

func (c *Capture) egress(f captureFamily, all *proof.Observations) error {
	keys := newKeyReader(f.egress)
	return c.socket.Dump(table.ListElements(f.egress.name), func(attributes []byte) {
		keys.read(attributes, func(k [][]byte) {
			word := toUint32(k[0])
			port, host := ports(word, k[3])
			all.Egress = append(all.Egress, proof.EgressObservation{Proto: byte(word >> shiftProto), Peer: toAddr(k[2]), Port: port, Source: toAddr(k[1]), Sport: host,
				Link: int(toUint32(k[4])), State: proof.ConnectionState(toUint32(k[5])), NextHop: toAddr(k[6])})
		})
	})
}

// ports returns the port of the peer, or the identifier of an echo, and that of the host.
func ports(word uint32, field []byte) (peer, host uint16) {
	first, second := binary.BigEndian.Uint16(field), binary.BigEndian.Uint16(field[2:])
	switch proto := byte(word >> shiftProto); {
	case word&bitPeerLast != 0:
		return second, first
	case proto != unix.IPPROTO_TCP && proto != unix.IPPROTO_UDP:
		return first, 0
	}
	return first, second
}

// isReply reports whether the hook observes replies.
func isReply(h proof.Hook) bool { return h >= proof.ReplyPrerouting }
