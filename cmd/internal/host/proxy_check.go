package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

const (
	proxyCheckTimeout = time.Second
	proxyCheckFall    = 3 // failures in a row after which a proxy is taken out of use
	proxyCheckRise    = 2 // answers in a row after which it is taken into use again
)

// checkRecord is what the checks of a proxy have shown.
type checkRecord struct {
	failures, answers int // in a row
	err               error
	failing           bool
}

// next returns the record after a check.
func (r checkRecord) next(err error) checkRecord {
	if err != nil {
		r.failures, r.answers, r.err = r.failures+1, 0, err
		r.failing = r.failing || r.failures >= proxyCheckFall
		return r
	}
	r.failures, r.answers = 0, r.answers+1
	r.failing = r.failing && r.answers < proxyCheckRise
	return r
}

// CheckProxies sends the checks of the proxies that listen, once each, and waits for their answers. Fingerprint and Observe
// report a proxy that fails as uplinks.ProxyNotAnswering. It is safe for concurrent use.
func (h *Host) CheckProxies(ctx context.Context) { h.proxies.check(ctx) }

// CheckProxiesUntilSure repeats the checks until each has an answer, or has failed as often as it takes.
func (h *Host) CheckProxiesUntilSure(ctx context.Context) {
	h.proxies.read(ctx)
	for range proxyCheckFall {
		if h.proxies.check(ctx) {
			return
		}
	}
}

// check reports whether all were answered.
func (w *proxyWatch) check(ctx context.Context) (answered bool) {
	listening := w.checked()
	if len(listening) == 0 {
		return true
	}
	results := make(map[string]error, len(listening))
	var wait sync.WaitGroup
	var mu sync.Mutex
	for check := range listening {
		wait.Go(func() {
			err := sendCheck(ctx, check)
			mu.Lock()
			defer mu.Unlock()
			results[check] = err
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return false
	}
	answered = true
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, s := range w.states {
		if err, asked := results[p.Check]; asked && s.seen == uplinks.ProxyListening {
			s.check = s.check.next(err)
			w.states[p] = s
			answered = answered && err == nil
		}
	}
	return answered
}

// checked returns the checks of the proxies that listen.
func (w *proxyWatch) checked() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all map[string]bool
	for p, s := range w.states {
		if p.Check != "" && s.seen == uplinks.ProxyListening {
			if all == nil {
				all = map[string]bool{}
			}
			all[p.Check] = true
		}
	}
	return all
}

// errors returns why proxies fail their checks, nil if none does.
func (w *proxyWatch) errors() (all map[uplinks.Proxy]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, s := range w.states {
		if s.state() == uplinks.ProxyNotAnswering {
			if all == nil {
				all = map[uplinks.Proxy]string{}
			}
			all[p] = s.check.err.Error()
		}
	}
	return all
}

// sendCheck sends one check.
func sendCheck(ctx context.Context, check string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, proxyCheckTimeout, fmt.Errorf("no answer within %s", proxyCheckTimeout))
	defer cancel()
	u, err := url.Parse(check)
	if err == nil && u.Scheme == "tcp" {
		err = connectAndReset(ctx, u.Host)
	} else if err == nil {
		err = get(ctx, check)
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		<-ctx.Done() // the socket's deadline passed a moment before the context's
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", check, err)
	}
	return nil
}

// connectAndReset connects, and closes the connection before the proxy accepts it: one that connects on to where its client
// wanted would connect to itself. A proxy that accepts no more connections answers as long as its backlog has room.
func connectAndReset(ctx context.Context, at string) error {
	d := net.Dialer{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		failed := c.Control(func(fd uintptr) {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
			if err == nil {
				err = os.NewSyscallError("setsockopt", unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
			}
		})
		if failed != nil {
			return failed
		}
		return err
	}}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	return c.Close()
}

// get requests a URL and wants a status from 200 to 399. Redirects are not followed.
func get(ctx context.Context, at string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "replypath/1 (proxy check)")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("status %s, want 200 to 399", response.Status)
	}
	return nil
}
