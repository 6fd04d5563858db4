package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"replypath/health"
)

const (
	userAgent    = "replypath/1 (uplink probe)"
	mostRedirect = 10
)

// usual are the status codes of a good answer, when the target names none.
var usual = health.Codes{First: 200, Last: 399}

// get fetches the target's page.
func (a *Asker) get(ctx context.Context, p health.Path, t health.Target) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	page, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		o.Err = fmt.Errorf("ask %s: %w", t.URL, err)
		return o
	}
	page.Header.Set("User-Agent", userAgent)
	// Before the clock starts: what it takes to find the name is not the page's.
	if _, o.Err = a.names.Addr(ctx, p, page.URL.Hostname()); o.Err != nil {
		return o
	}
	o.Sent = time.Now()
	answer, err := a.client(p, t).Do(page)
	o.RTT = time.Since(o.Sent)
	if err == nil {
		err = judge(t, answer)
	}
	if err != nil {
		a.names.Forget(p, page.URL.Hostname())
		a.sessions.forget(p, t)
		var inner *url.Error // its own text repeats what was asked
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("ask %s through %s: %w", t.URL, p.Link, meaning(ctx, p, err))}
	}
	return o
}

// client asks through the path, each time by a connection of its own.
func (a *Asker) client(p health.Path, t health.Target) *http.Client {
	return &http.Client{
		Transport:     trip{a, p, t},
		CheckRedirect: func(next *http.Request, before []*http.Request) error { return follow(t, next, before) },
	}
}

// follow allows redirects on the same host alone, and none where a redirect is the answer that is wanted.
func follow(t health.Target, next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case t.Status != (health.Codes{}) && holds(t.Status, next.Response.StatusCode):
		return http.ErrUseLastResponse
	case !strings.EqualFold(next.URL.Hostname(), first.Hostname()):
		return fmt.Errorf("it is redirected to another host, %s: a captive portal?", next.URL.Host)
	case len(before) >= mostRedirect:
		return fmt.Errorf("it is redirected %d times", len(before))
	}
	return nil
}

func holds(c health.Codes, status int) bool { return c.First <= status && status <= c.Last }

// judge says what is wrong with an answer.
func judge(t health.Target, answer *http.Response) error {
	defer answer.Body.Close()
	want := t.Status
	if want == (health.Codes{}) {
		want = usual
	}
	if !holds(want, answer.StatusCode) {
		return fmt.Errorf("it answers %s, not %d to %d", answer.Status, want.First, want.Last)
	}
	if t.Body == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	if err == nil && !strings.Contains(string(body), t.Body) {
		err = fmt.Errorf("its page does not hold %q in the first %d octets: a captive portal?", t.Body, bodyLimit)
	}
	return err
}
