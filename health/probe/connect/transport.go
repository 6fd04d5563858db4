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
	bodyLimit        = 64 << 10 // octets of a body that are read
	headerLimit      = 64 << 10
	maxInformational = 5 // responses with a status of 1xx
)

// transport is an http.RoundTripper that opens a connection through the path for each request: the connection is part of the
// probe. http.Transport would cost a quarter more, for the goroutines that keep a connection for the next request. No
// resource outlives the request's context.
type transport struct {
	*Prober
	path   health.Path
	target health.Target
}

// RoundTrip sends the request and returns the response when its header has arrived.
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
		// No HandshakeContext, which would start a goroutine: the end of ctx closes the connection.
		c = tls.Client(raw, t.sessions.config(t.path, t.target, r.URL.Hostname()))
	}
	response, err := exchange(c, r)
	if err != nil {
		_ = closeConn() // err is the cause
		return nil, err
	}
	response.Body = responseBody{response.Body, closeConn}
	return response, nil
}

// dial connects to the request's host through the path.
func (t transport) dial(ctx context.Context, r *http.Request) (*net.TCPConn, error) {
	port := map[string]uint16{"http": 80, "https": 443}[r.URL.Scheme]
	if port == 0 {
		return nil, fmt.Errorf("redirected to the URL scheme %q, which is not supported", r.URL.Scheme)
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

// exchange writes the request in one segment and reads the response's header.
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
			return nil, fmt.Errorf("the response header exceeds %d octets", headerLimit)
		case err != nil:
			return nil, err
		case response.StatusCode >= http.StatusOK || response.StatusCode == http.StatusSwitchingProtocols:
			limited.N += bodyLimit
			return response, nil
		}
	}
	return nil, fmt.Errorf("%d informational responses (1xx) and no final one", maxInformational)
}

// responseBody closes the connection with the body.
type responseBody struct {
	io.Reader
	closeConn func() error
}

func (b responseBody) Close() error { return b.closeConn() }
