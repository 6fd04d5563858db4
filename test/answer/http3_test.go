package answer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	http3Port  = 4433
	http3Pages = 5
	pageSize   = 64 << 10 // dozens of datagrams
)

// choosesNothing hides that the source of a datagram can be chosen: with a *net.UDPConn itself quic-go does so by IP_PKTINFO.
type choosesNothing struct{ net.PacketConn }

// connected is a client's socket that is connected to its server: datagrams from other addresses do not reach it.
type connected struct {
	choosesNothing
	conn net.Conn
}

func (c connected) WriteTo(b []byte, _ net.Addr) (int, error) { return c.conn.Write(b) }

// serveHTTP3 serves on the gateway's wildcard address of both families until the test ends.
func serveHTTP3(t *testing.T, b *box.Box, handler http.HandlerFunc, wrap func(*net.UDPConn) net.PacketConn) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "http3.pem")
	box.WriteCertificate(t, file)
	certificate, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	var socket *net.UDPConn
	err = b.Gateway.Bind(func() (err error) {
		socket, err = net.ListenUDP("udp", &net.UDPAddr{Port: http3Port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http3.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(wrap(socket))
	}()
	t.Cleanup(func() {
		server.Close()
		socket.Close()
		<-ended
	})
}

// http3Client asks the server at one address by a connection of its own, from a port that others may have too.
func http3Client(t *testing.T, b *box.Box, port uint16, to netip.Addr) *http.Client {
	t.Helper()
	socket := dialShared(t, b, port, netip.AddrPortFrom(to, http3Port))
	packets := &quic.Transport{Conn: connected{choosesNothing{socket}, socket}}
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // who answers is seen by the address
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return packets.DialEarly(ctx, socket.RemoteAddr(), tlsConfig, config)
		},
	}
	t.Cleanup(func() {
		transport.Close()
		packets.Close()
	})
	return &http.Client{Transport: transport}
}

// getPage returns the number of bytes of a page.
func getPage(t *testing.T, client *http.Client, to netip.Addr, page string, timeout time.Duration) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/%s", netip.AddrPortFrom(to, http3Port), page), nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return len(text), err
}

// wantPage wants the whole page.
func wantPage(t *testing.T, client *http.Client, to netip.Addr, page string) {
	t.Helper()
	if n, err := getPage(t, client, to, page, box.EventualTimeout); err != nil || n != pageSize {
		t.Errorf("%s of %s: %d bytes, %v", page, to, n, err)
	}
}

// servePage answers with a page.
func servePage(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, pageSize)) }

func TestHTTP3ServerRepliesFromTheAddressThatWasAsked(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{}, world.Options{}, backend)
		serveHTTP3(t, b, servePage, func(c *net.UDPConn) net.PacketConn { return choosesNothing{c} })
		for _, to := range b.Uplinks[1].Addrs() {
			if n, err := getPage(t, http3Client(t, b, b.ClientPort(), to), to, "before", time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without help %s is answered with %d bytes, %v: the test shows nothing", to, n, err)
			}
		}
		b.Apply()
		p := b.RecordEgress()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				client := http3Client(t, b, b.ClientPort(), to)
				for range http3Pages {
					wantPage(t, client, to, "page")
				}
			}
		}
		p.Settle()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				p.WantSymmetric(t, u, to, http3Pages*pageSize/1500)
			}
		}
	})
}

// TestHTTP3ServerThatChoosesItsAddressIsLeftAlone lets one port of a client ask both uplinks' addresses, and the server answer the
// first question after the second one has come in: quic-go replies to each from the address that was asked, whatever was asked last.
// Both sides repeat what is lost, so that this shows that quic-go works; TestChosenAddressIsLeftAlone counts each reply.
func TestHTTP3ServerThatChoosesItsAddressIsLeftAlone(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, backend)
		waiting, release := make(chan struct{}), make(chan struct{})
		serveHTTP3(t, b, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				waiting <- struct{}{}
				<-release
			}
			servePage(w, r)
		}, func(c *net.UDPConn) net.PacketConn { return c })
		b.Apply()
		for family := range 2 {
			p := b.RecordEgress()
			port := b.ClientPort()
			first, second := b.Uplinks[0].Addrs()[family], b.Uplinks[1].Addrs()[family]
			clients := map[netip.Addr]*http.Client{first: http3Client(t, b, port, first), second: http3Client(t, b, port, second)}
			for _, order := range [][2]netip.Addr{{first, second}, {second, first}} {
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					wantPage(t, clients[order[0]], order[0], "wait")
				}()
				select {
				case <-waiting:
				case <-ended:
					t.FailNow()
				}
				wantPage(t, clients[order[1]], order[1], "page")
				release <- struct{}{}
				<-ended
			}
			p.Settle()
			for i, to := range []netip.Addr{first, second} {
				p.WantSymmetric(t, b.Uplinks[i], to, 4) // datagrams that the card would cut count as one
			}
		}
	})
}
