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

// defaultStatus is the range of accepted status codes of a target that configures none.
var defaultStatus = health.StatusCodes{First: 200, Last: 399}

// probeHTTP requests the target's URL and checks the response.
func (a *Prober) probeHTTP(ctx context.Context, p health.Path, t health.Target) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		o.Err = fmt.Errorf("get %s: %w", t.URL, err)
		return o
	}
	request.Header.Set("User-Agent", userAgent)
	// The name is resolved first, so that the round-trip time does not include it.
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
		var urlErr *url.Error // its text repeats the URL
		if errors.As(err, &urlErr) {
			err = urlErr.Err
		}
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("get %s through %s: %w", t.URL, p.Link, explain(ctx, p, err))}
	}
	return o
}

// client returns a client that opens a connection through the path for each request.
func (a *Prober) client(p health.Path, t health.Target) *http.Client {
	return &http.Client{
		Transport:     transport{a, p, t},
		CheckRedirect: func(next *http.Request, before []*http.Request) error { return checkRedirect(t, next, before) },
	}
}

// checkRedirect allows redirects within the host only, and none where the target expects the redirect itself.
func checkRedirect(t health.Target, next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case t.Status != (health.StatusCodes{}) && includes(t.Status, next.Response.StatusCode):
		return http.ErrUseLastResponse
	case !strings.EqualFold(next.URL.Hostname(), first.Hostname()):
		return fmt.Errorf("redirected to another host, %s: perhaps a captive portal", next.URL.Host)
	case len(before) >= maxRedirects:
		return fmt.Errorf("redirected %d times", len(before))
	}
	return nil
}

func includes(c health.StatusCodes, code int) bool { return c.First <= code && code <= c.Last }

// checkResponse returns an error when the response is not what the target expects.
func checkResponse(t health.Target, response *http.Response) error {
	defer response.Body.Close()
	status := t.Status
	if status == (health.StatusCodes{}) {
		status = defaultStatus
	}
	if !includes(status, response.StatusCode) {
		return fmt.Errorf("status %s, want %d to %d", response.Status, status.First, status.Last)
	}
	if t.Body == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err == nil && !strings.Contains(string(body), t.Body) {
		err = fmt.Errorf("%q is not in the first %d octets of the body: perhaps a captive portal", t.Body, bodyLimit)
	}
	return err
}
