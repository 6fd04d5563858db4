package box

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"replypath/test/world"
)

// TransportFrom connects from a host.
func TransportFrom(from *world.Host) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		var d net.Dialer
		from.Do(func() { c, err = d.DialContext(ctx, network, address) })
		return c, err
	}}
}

// GetFrom sends a GET request from a host, and returns the status code and the body; 0 and the error when there was no response.
func GetFrom(t *testing.T, from *world.Host, url string, header ...string) (int, string) {
	t.Helper()
	return Get(t, TransportFrom(from), url, header...)
}

// Get returns over, by a transport of one's own.
func Get(t *testing.T, by *http.Transport, url string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), EventualTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Client{Transport: by}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}
