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
	maxRedirects = 10
)

// defaultStatus are the status codes of a good answer, when the target names none.
var defaultStatus = health.StatusCodes{First: 200, Last: 399}

// probeHTTP fetches the target's page.
func (a *Prober) probeHTTP(ctx context.Context, p health.Path, t health.Target) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		o.Err = fmt.Errorf("ask %s: %w", t.URL, err)
		return o
	}
	request.Header.Set("User-Agent", userAgent)
	// Before the clock starts: what it takes to find the name is not the page's.
	if _, o.Err = a.resolver.Lookup(ctx, p, request.URL.Hostname()); o.Err != nil {
		return o
	}
	o.Sent = time.Now()
	response, err := a.client(p, t).Do(request)
	o.RTT = time.Since(o.Sent)
	if err == nil {
		err = checkResponse(t, response)
	}
	if err != nil {
		a.resolver.Invalidate(p, request.URL.Hostname())
		a.sessions.invalidate(p, t)
		var urlErr *url.Error // its own text repeats what was asked
		if errors.As(err, &urlErr) {
			err = urlErr.Err
		}
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("ask %s through %s: %w", t.URL, p.Link, explain(ctx, p, err))}
	}
	return o
}

// client asks through the path, each time by a connection of its own.
func (a *Prober) client(p health.Path, t health.Target) *http.Client {
	return &http.Client{
		Transport:     transport{a, p, t},
		CheckRedirect: func(next *http.Request, before []*http.Request) error { return checkRedirect(t, next, before) },
	}
}

// checkRedirect allows redirects on the same host alone, and none where a redirect is the answer that is wanted.
func checkRedirect(t health.Target, next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case t.Status != (health.StatusCodes{}) && includes(t.Status, next.Response.StatusCode):
		return http.ErrUseLastResponse
	case !strings.EqualFold(next.URL.Hostname(), first.Hostname()):
		return fmt.Errorf("it is redirected to another host, %s: a captive portal?", next.URL.Host)
	case len(before) >= maxRedirects:
		return fmt.Errorf("it is redirected %d times", len(before))
	}
	return nil
}

func includes(c health.StatusCodes, code int) bool { return c.First <= code && code <= c.Last }

// checkResponse says what is wrong with an answer.
func checkResponse(t health.Target, response *http.Response) error {
	defer response.Body.Close()
	status := t.Status
	if status == (health.StatusCodes{}) {
		status = defaultStatus
	}
	if !includes(status, response.StatusCode) {
		return fmt.Errorf("it answers %s, not %d to %d", response.Status, status.First, status.Last)
	}
	if t.Body == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err == nil && !strings.Contains(string(body), t.Body) {
		err = fmt.Errorf("its page does not hold %q in the first %d octets: a captive portal?", t.Body, bodyLimit)
	}
	return err
}
