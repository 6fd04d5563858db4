package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/endpoint"
	"replypath/uplinks"
)

// peerInterval is the time between two comparisons with the peer.
const peerInterval = 5 * time.Second

// The kind of events about the peer, and what they come from and go to.
const (
	eventPeer   = "peer"
	peerSame    = "same"
	peerDiffers = "differs"
)

// peerPoller compares the fingerprint of this node with that of the other node of a pair. Safe for concurrent use.
type peerPoller struct {
	recorder *eventRecorder
	log      *slog.Logger
	changed  chan struct{} // wakes Run when there is something new to compare

	mu     sync.Mutex
	peer   health.PeerSettings
	own    health.Fingerprint
	status health.PeerStatus // of peer and own
}

func newPeerPoller(recorder *eventRecorder, log *slog.Logger) *peerPoller {
	return &peerPoller{recorder: recorder, log: log, changed: make(chan struct{}, 1)}
}

// setFingerprint sets the settings that are in force on this node.
func (p *peerPoller) setFingerprint(s uplinks.Settings) {
	own := health.NewFingerprint(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if own.Value != p.own.Value {
		p.own = own
		p.wakeUp()
	}
}

// configure sets the peer.
func (p *peerPoller) configure(peer health.PeerSettings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer != p.peer {
		p.peer, p.status = peer, health.PeerStatus{URL: peer.URL}
		p.wakeUp()
	}
}

func (p *peerPoller) wakeUp() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Status returns the own fingerprint, and the result of the last comparison: nil if no peer is configured.
func (p *peerPoller) Status() (health.Fingerprint, *health.PeerStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peer.URL == "" {
		return p.own, nil
	}
	status := p.status
	status.Differences = slices.Clone(status.Differences)
	return p.own, &status
}

// Run compares until the context ends. Without a peer it sleeps.
func (p *peerPoller) Run(ctx context.Context) error {
	for {
		p.mu.Lock()
		peer := p.peer
		p.mu.Unlock()
		var next <-chan time.Time
		if peer.URL != "" {
			there, err := endpoint.FetchFingerprint(ctx, peer)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.record(peer, there, err)
			next = time.After(peerInterval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.changed:
		case <-next:
		}
	}
}

// record keeps the result of a comparison, and logs what is new in it. While the peer cannot be reached, the last differences
// stand: a dead node is no reason to forget them.
func (p *peerPoller) record(peer health.PeerSettings, there health.Fingerprint, err error) {
	p.mu.Lock()
	if peer != p.peer {
		p.mu.Unlock()
		return
	}
	before := p.status
	if err != nil {
		p.status.Error = err.Error()
	} else {
		p.status = health.PeerStatus{URL: peer.URL, At: time.Now(), Fingerprint: there.Value, Differences: p.own.Differences(there)}
	}
	now := p.status
	p.mu.Unlock()
	switch {
	case now.Error != "" && now.Error != before.Error:
		p.log.Warn("cannot compare this node with its peer, will retry", "err", err)
	case now.Error == "" && before.Error != "":
		p.log.Info("the peer can be read again", "peer", peer.URL)
	}
	if !slices.Equal(now.Differences, before.Differences) {
		p.report(now)
	}
}

// report logs and records that the peer differs, or no longer does.
func (p *peerPoller) report(s health.PeerStatus) {
	if len(s.Differences) == 0 {
		text := fmt.Sprintf("the peer %s agrees again on mask and ids", s.URL)
		p.log.Info(text)
		p.recorder.Record(health.Event{Kind: eventPeer, From: peerDiffers, To: peerSame, Text: text})
		return
	}
	text := fmt.Sprintf("the peer %s differs: %s", s.URL, strings.Join(s.Differences, "; "))
	p.log.Warn(text, "remedy", health.PeerRemedy)
	p.recorder.Record(health.Event{Kind: eventPeer, From: peerSame, To: peerDiffers, Text: text})
}
