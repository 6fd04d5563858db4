package probes

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// serveHTTP serves pages on the client.
func serveHTTP(b *box.Box) {
	b.T.Helper()
	for _, network := range []string{"tcp4", "tcp6"} {
		serveOn(b.T, b.Client, network, 80, nil)
	}
}

func serveOn(t testing.TB, host *world.Host, network string, port int, secure *tls.Config) {
	t.Helper()
	var listener net.Listener
	var err error
	host.Do(func() { listener, err = net.ListenTCP(network, &net.TCPAddr{Port: port}) })
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	server := &http.Server{Handler: http.HandlerFunc(servePage), ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { server.Close() })
}

func servePage(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		io.WriteString(w, "all is well, "+r.UserAgent())
	case "/moved":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/portal":
		http.Redirect(w, r, "http://portal.example/login", http.StatusFound)
	case "/round":
		http.Redirect(w, r, "/round", http.StatusFound)
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/long":
		io.WriteString(w, strings.Repeat("x", 64<<10)+"well")
	case "/early":
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "well, after all")
	case "/header":
		w.Header().Set("Long", strings.Repeat("x", 1<<20))
	case "/silent":
		<-r.Context().Done()
	default:
		http.Error(w, "broken", http.StatusInternalServerError)
	}
}

func TestHTTPProbe(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	serveHTTP(b)
	b.Apply()
	t.Setenv("http_proxy", "http://192.0.2.77:3128") // must not be used
	a, u := startProber(b), b.Uplinks[1]
	for _, c := range []struct {
		path   string
		status health.StatusCodes
		body   string
		words  string // of the failure; none: it is answered
	}{
		{path: "/"},
		{path: "/", body: "all is well, replypath/1"},
		{path: "/", body: "all is bad", words: `"all is bad" is not in the first 65536 octets`},
		{path: "/", status: health.StatusCodes{First: 204, Last: 204}, words: "status 200 OK, want 204 to 204"},
		{path: "/empty", status: health.StatusCodes{First: 204, Last: 204}},
		{path: "/moved", body: "well"},
		{path: "/moved", status: health.StatusCodes{First: 302, Last: 302}},
		{path: "/moved", status: health.StatusCodes{First: 301, Last: 301}, words: "status 200 OK"},
		{path: "/portal", words: "redirected to another host, portal.example: perhaps a captive portal"},
		{path: "/portal", status: health.StatusCodes{First: 302, Last: 302}},
		{path: "/round", words: "redirected 10 times"},
		{path: "/long", body: "well", words: "is not in the first"},
		{path: "/early", body: "after all"},
		{path: "/header", words: "the response header exceeds 65536 octets"},
		{path: "/broken", words: "status 500 Internal Server Error, want 200 to 399"},
		{path: "/broken", status: health.StatusCodes{First: 500, Last: 599}},
	} {
		for _, f := range uplinks.Families {
			target := httpTarget(clientAddrIn(b, f), c.path)
			target.Status, target.Body = c.status, c.body
			if c.words == "" {
				a.wantReply(newProbe(probePath(u, f), target, replyTimeout))
			} else {
				a.wantError(newProbe(probePath(u, f), target, replyTimeout), "get http://", "through eth1: ", c.words)
			}
		}
	}
	a.stop()
}
