package connect

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"replypath/health"
	"replypath/health/probe/socket"
)

const (
	bodyLimit        = 64 << 10 // octets of a page that are read
	headerLimit      = 64 << 10
	maxInformational = 5 // answers that say that the answer is yet to come
)

// transport is an http.RoundTripper for the questions of one probe. Each has a connection of its own, which is what is asked
// about. With net/http's Transport a question would cost a quarter more, for goroutines that serve a connection's next use.
// Nothing of it outlives the request's context.
type transport struct {
	*Prober
	path   health.Path
	target health.Target
}

// RoundTrip puts the question, and gives the answer when its header is there.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	raw, err := t.dial(ctx, r)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	closeConn := func() error {
		stop()
		return raw.Close()
	}
	c := net.Conn(raw)
	if r.URL.Scheme == "https" {
		// Without the context, which would take a goroutine: its end closes the connection.
		c = tls.Client(raw, t.sessions.config(t.path, t.target, r.URL.Hostname()))
	}
	response, err := exchange(c, r)
	if err != nil {
		closeConn()
		return nil, err
	}
	response.Body = responseBody{response.Body, closeConn}
	return response, nil
}

// dial connects to the request's host through the path.
func (t transport) dial(ctx context.Context, r *http.Request) (*net.TCPConn, error) {
	port := map[string]uint16{"http": 80, "https": 443}[r.URL.Scheme]
	if port == 0 {
		return nil, fmt.Errorf("it is redirected to %q, which is no page", r.URL.Scheme)
	}
	if text := r.URL.Port(); text != "" {
		parsed, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("port %s: %w", text, err)
		}
		port = uint16(parsed)
	}
	addr, err := t.resolver.Lookup(ctx, t.path, r.URL.Hostname())
	if err != nil {
		return nil, err
	}
	return dial(ctx, socket.Dialer(t.path), t.path, netip.AddrPortFrom(addr, port))
}

// exchange writes the request at once, and reads the header of what comes back.
func exchange(c net.Conn, r *http.Request) (*http.Response, error) {
	var buffer bytes.Buffer
	request := *r
	request.Close = true
	if err := request.Write(&buffer); err != nil {
		return nil, err
	}
	if _, err := c.Write(buffer.Bytes()); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: c, N: headerLimit}
	reader := bufio.NewReader(limited)
	for range maxInformational {
		response, err := http.ReadResponse(reader, r)
		switch {
		case err != nil && limited.N == 0:
			return nil, fmt.Errorf("its header exceeded %d octets", headerLimit)
		case err != nil:
			return nil, err
		case response.StatusCode >= http.StatusOK || response.StatusCode == http.StatusSwitchingProtocols:
			limited.N += bodyLimit
			return response, nil
		}
	}
	return nil, fmt.Errorf("it says %d times that its answer is yet to come", maxInformational)
}

// responseBody is that of an answer, with the connection that it came by.
type responseBody struct {
	io.Reader
	closeConn func() error
}

func (b responseBody) Close() error { return b.closeConn() }
