package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// foreignSubject returns the subject of an event that changes nothing of replypath's, but may change where replies go; ""
// for all others.
func foreignSubject(m syscall.NetlinkMessage) string {
	switch m.Header.Type {
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if isKernelsLocalRoute(m) {
			return ""
		}
		return "route"
	case rtmNewNexthop, rtmDelNexthop:
		return "route"
	case unix.RTM_NEWQDISC, unix.RTM_DELQDISC, unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER, unix.RTM_NEWCHAIN, unix.RTM_DELCHAIN:
		return "traffic control"
	}
	return ""
}

// isKernelsLocalRoute reports whether the event is about a route that the kernel keeps in the table local, and that it has changed
// itself: its port is 0, that of a program is not. Such routes come and go with addresses and links, of which there are events too.
func isKernelsLocalRoute(m syscall.NetlinkMessage) bool {
	if m.Header.Pid != 0 || len(m.Data) < unix.SizeofRtMsg {
		return false
	}
	r := nl.DeserializeRtMsg(m.Data)
	return r.Table == unix.RT_TABLE_LOCAL && r.Protocol == unix.RTPROT_KERNEL
}

// Subscription receives the events of one kind.
type Subscription struct {
	subject string
	socket  *nl.NetlinkSocket // nil: the kernel has none of them
}

// SubscribeToPolicies subscribes to changes of the IPsec policies of the network namespace of the calling thread.
func SubscribeToPolicies() (*Subscription, error) {
	s, err := nl.Subscribe(unix.NETLINK_XFRM, nl.XFRMNLGRP_POLICY)
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("subscribe to IPsec policies: %w", err)
	}
	return &Subscription{"IPsec policy", s}, nil
}

// SubscribeToPermanentNeighbours subscribes to permanent neighbour entries that are added or replaced in the network
// namespace of the calling thread. The kernel filters all others, which it announces whenever they are used.
func SubscribeToPermanentNeighbours() (*Subscription, error) {
	s, err := subscribeToNeighbours(unix.NUD_PERMANENT)
	if err != nil {
		return nil, err
	}
	return &Subscription{"neighbour", s}, nil
}

// subscribeToNeighbours opens a socket that receives the neighbour entries which enter one of the states.
func subscribeToNeighbours(states uint16) (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
	if err != nil {
		return nil, fmt.Errorf("subscribe to neighbours: %w", err)
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: neighbourStateAt},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: uint32(inNetworkOrder(states)), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)}
	if err := unix.SetsockoptSockFprog(s.GetFd(), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter); err != nil {
		s.Close()
		return nil, fmt.Errorf("filter the events of neighbours: %w", err)
	}
	return s, nil
}

// neighbourStateAt is the offset of ndm_state in a message about a neighbour (linux/neighbour.h).
const neighbourStateAt = unix.SizeofNlMsghdr + 8

// inNetworkOrder returns a number in the byte order in which classic BPF loads it from memory that has it in the order of
// the machine.
func inNetworkOrder(n uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n))
}

// Receive calls notify with the subject for each event, also when events were lost, until the context ends, and closes the
// subscription.
func (s *Subscription) Receive(ctx context.Context, notify func(subject string)) error {
	if s.socket == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	defer s.socket.Close()
	defer context.AfterFunc(ctx, s.socket.Close)()
	for {
		_, _, err := s.socket.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return fmt.Errorf("receive events of %s entries: %w", s.subject, err)
		}
		notify(s.subject)
	}
}
