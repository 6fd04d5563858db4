package firsthop

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks/egress"
)

// ended records how requests end.
type ended struct {
	mu    sync.Mutex
	began time.Time
	all   []string
	at    []time.Duration
	took  []time.Duration
}

// request returns a request whose end is recorded under the name.
func (e *ended) request(name string, link int, timeout time.Duration) *request {
	q := &request{gateway: egress.LinkAddr{Link: link, Addr: router6}, timeout: timeout}
	q.batch = &batch{end: func(all *endings) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, r := range all.all {
			switch {
			case errors.Is(r.err, context.DeadlineExceeded):
				name += " timeout"
			case r.err != nil:
				name += " " + r.err.Error()
			}
			e.all, e.at, e.took = append(e.all, name), append(e.at, time.Since(e.began)), append(e.took, r.took)
		}
	}}
	return q
}

// receive receives the gateway's reply.
func receive(r *requests, gateway egress.LinkAddr) {
	var ended endings
	r.receive(gateway, nil, []byte("mac"), time.Now(), &ended)
	ended.flush()
}

// abort aborts the request.
func abort(r *requests, q *request, text string) {
	var ended endings
	r.abort(q, errors.New(text), &ended)
	ended.flush()
}

func TestEachRequestEndsOnceAtItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e := &requests{}, &ended{began: time.Now()}
		r.begin(e.request("slow", 1, 900*time.Millisecond))
		r.begin(e.request("quick", 2, 300*time.Millisecond))
		r.begin(e.request("second", 1, 600*time.Millisecond))
		r.begin(e.request("answered", 3, 500*time.Millisecond))
		r.begin(e.request("patient", 4, 0))
		refused := e.request("refused", 5, time.Second)
		r.begin(refused)
		abort(r, refused, "ENXIO")
		time.Sleep(20 * time.Millisecond)
		receive(r, egress.LinkAddr{Link: 3, Addr: router6})
		receive(r, egress.LinkAddr{Link: 3, Addr: router6})
		receive(r, egress.LinkAddr{Link: 9, Addr: router6})
		receive(r, egress.LinkAddr{Link: 4, Addr: netip.IPv6LinkLocalAllNodes()})
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"refused ENXIO", "answered", "quick timeout", "second timeout", "slow timeout"}
		if !slices.Equal(e.all, want) {
			t.Errorf("ended %q, want %q", e.all, want)
		}
		if at := []time.Duration{0, 20, 300, 600, 900}; !slices.EqualFunc(e.at, at, func(got, ms time.Duration) bool { return got == ms*time.Millisecond }) {
			t.Errorf("at %v, want %v ms", e.at, at)
		}
		if e.took[1] != 20*time.Millisecond {
			t.Errorf("the reply took %v", e.took[1])
		}
		if len(r.waiting) != 1 {
			t.Errorf("%d gateways are waited for, want one", len(r.waiting))
		}
		r.close()
	})
}

// Requests that were sent together end together: by the timer, or by what sends the next ones a little earlier.
func TestRequestsExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e := &requests{}, &ended{began: time.Now()}
		for link, after := range []time.Duration{0, 2, 2, 16, 10} {
			time.Sleep(after * time.Millisecond)
			r.begin(e.request("", link, time.Second))
		}
		time.Sleep(time.Second - 13*time.Millisecond)
		r.expire()
		time.Sleep(time.Minute)
		synctest.Wait()
		if at := []time.Duration{1000, 1000, 1000, 1017, 1030}; !slices.EqualFunc(e.at, at, func(got, ms time.Duration) bool { return got == ms*time.Millisecond }) {
			t.Errorf("at %v, want %v ms", e.at, at)
		}
		r.close()
	})
}

func TestRequestThatIsAbortedEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, lost := &requests{}, &ended{began: time.Now()}, 0
		q := e.request("first", 1, time.Second)
		r.lost = func(l *request) {
			if l == q {
				lost++
			}
		}
		r.begin(q)
		r.begin(e.request("other", 1, time.Second))
		abort(r, q, "aborted")
		abort(r, q, "aborted again")
		receive(r, q.gateway)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"first aborted", "other"}; !slices.Equal(e.all, want) || lost != 1 {
			t.Errorf("ended %q, want %q; lost %d times", e.all, want, lost)
		}
	})
}

// A reply that ends a request may send the next one at once.
func TestRequestMayBeginWhenAnotherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e := &requests{}, &ended{began: time.Now()}
		next := e.request("next", 1, time.Second)
		q := e.request("first", 1, time.Second)
		end := q.batch.end
		q.batch.end = func(all *endings) {
			end(all)
			r.begin(next)
		}
		r.begin(q)
		receive(r, q.gateway)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"first", "next timeout"}; !slices.Equal(e.all, want) {
			t.Errorf("ended %q, want %q", e.all, want)
		}
	})
}
