package daemon

import (
	"fmt"
	"sync"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// proxyStates keeps the states of transparent proxies and records their changes. Safe for concurrent use.
type proxyStates struct {
	recorder *eventRecorder

	mu  sync.Mutex
	all []health.ProxyStatus // replaced, never changed
}

// Status returns the states, in the order of the intercepts. The caller must not change them.
func (p *proxyStates) Status() []health.ProxyStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// observe sets the states that a round has observed, and records those that have changed.
func (p *proxyStates) observe(s uplinks.Settings, f uplinks.Facts) {
	var all []health.ProxyStatus
	if s.Interception != nil {
		for _, i := range s.Interception.Intercepts {
			for _, proxy := range i.Proxies() {
				all = append(all, health.NewProxyStatus(i, proxy, f))
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for n := range all {
		all[n].Since = now
		for _, before := range p.all {
			if before.Same(all[n]) && before.State == all[n].State {
				all[n].Since = before.Since
			} else if before.Same(all[n]) {
				p.record(all[n], before.State)
			}
		}
	}
	p.all = all
}

// record records that a proxy has another state. The findings of the inspection log it.
func (p *proxyStates) record(now health.ProxyStatus, before uplinks.ProxyState) {
	p.recorder.Record(health.Event{Kind: eventProxy, Family: now.FamilyName(), From: string(before), To: string(now.State),
		Text: fmt.Sprintf("intercept %s: %s", now.Intercept, now.Text())})
}
