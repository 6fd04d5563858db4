package world

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	markerLength = 60
	settleRounds = 8 // more than the hops of a request and its answer
	settleTime   = time.Minute
)

// markerTarget is an Ethernet group that no bridge passes on.
var markerTarget = [6]byte{0x01, 0x80, 0xc2, 0, 0, 0x0e}

// fence sends marker frames, which overtake nothing, and waits for them.
type fence struct {
	mu      sync.Mutex
	sockets map[*Link]*socket
	serial  uint64
}

// Settle returns when every packet that was on its way when it was called, and what the kernels at once answered to
// it, has arrived and has been recorded. From then on a recorder that has not seen a packet will not see it.
// (What programs and timers send later is another matter: await the answer first.)
//
// A packet waits in the queue of one CPU and stays on that CPU from hop to hop. So a marker is sent by every CPU over
// every link in both directions, and has to arrive, as many times as a packet and its answer have hops.
func (w *World) Settle() {
	w.tb.Helper()
	w.fence.mu.Lock()
	defer w.fence.mu.Unlock()
	ctx, stop := context.WithTimeout(w.ctx, settleTime)
	defer stop()
	for range settleRounds {
		if err := w.settleOnce(ctx); err != nil {
			w.tb.Fatalf("settle: %v", err)
		}
	}
	for _, r := range w.recording() {
		if n := r.Lost(); n > 0 {
			w.tb.Fatalf("recorder of %s %s lost %d packets: its silence proves nothing (record with a predicate)",
				r.link.Host.Name, r.link.Name, n)
		}
	}
}

func (w *World) settleOnce(ctx context.Context) error {
	ends, err := w.fenceSockets()
	if err != nil {
		return err
	}
	sent := map[*Link][]uint64{}
	err = onEachCPU(func() error {
		for link, end := range ends {
			w.fence.serial++
			err := end.send(marker(w.fence.serial), nil, nil)
			if errors.Is(err, unix.ENETDOWN) { // reported once after the link was down
				err = end.send(marker(w.fence.serial), nil, nil)
			}
			if err != nil {
				return fmt.Errorf("marker on %s %s: %w", link.Host.Name, link.Name, err)
			}
			sent[link] = append(sent[link], w.fence.serial)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for link, end := range ends {
		if err := end.await(ctx, slices.Clone(sent[link.Peer])); err != nil {
			return fmt.Errorf("marker to %s %s: %w", link.Host.Name, link.Name, err)
		}
	}
	for _, r := range w.recording() {
		if err := r.await(ctx, slices.Concat(sent[r.link], sent[r.link.Peer])); err != nil {
			return err
		}
	}
	return nil
}

// await receives until all of the markers have come.
func (s *socket) await(ctx context.Context, markers []uint64) error {
	deadline, _ := ctx.Deadline()
	s.until(deadline)
	buffer := make([]byte, snapLength)
	for len(markers) > 0 {
		m, err := s.receive(buffer, nil)
		if errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			return err
		}
		if len(m.data) >= markerLength {
			got := binary.BigEndian.Uint64(m.data[ethernetHeader:])
			markers = slices.DeleteFunc(markers, func(want uint64) bool { return want == got })
		}
	}
	return nil
}

// await waits until the recorder has seen all of the markers.
func (r *Recorder) await(ctx context.Context, markers []uint64) error {
	for {
		r.mu.Lock()
		markers = slices.DeleteFunc(markers, func(m uint64) bool {
			arrived := r.markers[m]
			delete(r.markers, m)
			return arrived
		})
		changed := r.changed
		r.mu.Unlock()
		if len(markers) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("recorder of %s %s: %w", r.link.Host.Name, r.link.Name, ctx.Err())
		}
	}
}

func marker(serial uint64) []byte {
	frame := make([]byte, markerLength)
	copy(frame, markerTarget[:])
	binary.BigEndian.PutUint16(frame[12:], markerType)
	binary.BigEndian.PutUint64(frame[ethernetHeader:], serial)
	return frame
}
