package endpoint

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/healthtest"
)

func TestListenIsRetriedWhileThePortIsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, health.EndpointSettings{Listen: netip.MustParseAddrPort(taken.Addr().String())})
	healthtest.WaitFor(t, "the error is logged", func() bool { return strings.Contains(s.log.String(), "address already in use") })
	expectContains(t, s.log.String(), "level=ERROR", "ss -ltnp", taken.Addr().String())
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitListening(t)
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("after the port is free: %d", code)
	}
	if n := strings.Count(s.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, s.log)
	}
}

func TestUnassignedAddressIsLogged(t *testing.T) {
	s := startServer(t, health.EndpointSettings{Listen: netip.MustParseAddrPort("192.0.2.77:9717")})
	healthtest.WaitFor(t, "the error is logged", func() bool { return strings.Contains(s.log.String(), "no link has the address") })
}

func TestSettingsChangeWhileServing(t *testing.T) {
	s := startServer(t, health.EndpointSettings{})
	s.Set(health.EndpointSettings{Listen: anyPort})
	first := s.awaitListening(t)
	c := s.dial(t, "")
	s.Set(health.EndpointSettings{Listen: anyPort})
	s.Set(health.EndpointSettings{Listen: anyPort, TokenFile: tokenFile(t, testToken)})
	if second := s.awaitListening(t); second == first {
		t.Errorf("it listens at %s again", second)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("the old connection gave %d bytes", n)
	}
	if _, err := net.Dial("tcp", first); err == nil {
		t.Error("the old port is still open")
	}
	if code, _ := s.get(t, "/status"); code != 401 {
		t.Errorf("with the new settings: %d", code)
	}
	s.Set(health.EndpointSettings{})
	healthtest.WaitFor(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

func TestUnchangedSettingsKeepConnections(t *testing.T) {
	s := openServer(t)
	c := s.dial(t, "GET /healthz HTTP/1.1\r\n")
	s.Set(health.EndpointSettings{Listen: anyPort})
	healthtest.WaitFor(t, "the settings are applied", func() bool { return len(s.settings) == 0 })
	if _, err := c.Write([]byte("Host: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := firstLine(t, c); got != "HTTP/1.1 200 OK" {
		t.Error(got)
	}
}
