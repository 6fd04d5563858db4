package intercept

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"
	"replypath/uplinks"
)

// pageBlock returns a block of the page about the configuration, behind a mark.
func pageBlock(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(house.ReadDocument(t, house.Configuration), "<!-- "+name+" -->\n```")
	_, rest, opened := strings.Cut(rest, "\n")
	text, _, closed := strings.Cut(rest, "```\n<!-- /"+name+" -->")
	if !found || !opened || !closed {
		t.Fatalf("the page has no block %q", name)
	}
	return text
}

// serveVia serves HTTP on a host: who connects, and by which proxies the request came.
func serveVia(t *testing.T, h *world.Host, port uint16) {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err == nil {
			fmt.Fprintf(w, "%s via %s", host, r.Header.Get("Via"))
		}
	})}
	for _, family := range []string{"tcp4", "tcp6"} {
		var l net.Listener
		var err error
		h.Do(func() { l, err = net.Listen(family, fmt.Sprintf(":%d", port)) })
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(l)
	}
	t.Cleanup(func() { server.Close() })
}

// wantVia asks by HTTP until the answer is the wanted one: a program may not listen yet.
func wantVia(t *testing.T, from *world.Host, at netip.AddrPort, want string) {
	t.Helper()
	awaitAnswer(t, from, at, want, func(answer string) bool { return answer == want })
}

// wantViaPrefix asks by HTTP until the answer begins with the prefix.
func wantViaPrefix(t *testing.T, from *world.Host, at netip.AddrPort, prefix string) {
	t.Helper()
	awaitAnswer(t, from, at, prefix, func(answer string) bool { return strings.HasPrefix(answer, prefix) })
}

func awaitAnswer(t *testing.T, from *world.Host, at netip.AddrPort, want string, is func(answer string) bool) {
	t.Helper()
	by := box.TransportFrom(from)
	by.ResponseHeaderTimeout = askTimeout
	box.Eventually(t, box.EventualTimeout, fmt.Sprintf("%q from %s", want, at), func() bool {
		_, answer := box.Get(t, by, "http://"+at.String()+"/")
		return is(answer)
	})
}

// hang stops a process of the gateway, which keeps its sockets, or lets it go on.
func (p *proxied) hang(t *testing.T, process *os.Process, stop bool) {
	t.Helper()
	signal := map[bool]os.Signal{true: syscall.SIGSTOP, false: syscall.SIGCONT}[stop]
	if err := process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func TestHAProxyOfThePageIntercepts(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings[1] = pageBlock(t, "intercept")
		p.Configure(p.Uplinks...)
		const port = 8081
		p.Settings[1] = strings.Replace(p.Settings[1], "80\n", fmt.Sprint(port)+"\n", 1)
		p.Configure(p.Uplinks...)
		serveVia(t, p.Client, port)
		config := filepath.Join(p.Dir, "haproxy.cfg")
		if err := os.WriteFile(config, []byte(pageBlock(t, "haproxy")), 0o600); err != nil {
			t.Fatal(err)
		}
		process, stop := p.RunProgram(t, "haproxy", "-db", "-f", config)
		p.Start()
		u := p.Uplinks[0]
		for to, seen := range map[netip.Addr]netip.Addr{p.Client4: u.Addr4, p.Client6: u.Addr6} {
			wantVia(t, p.LAN, netip.AddrPortFrom(to, port), seen.String()+" via haproxy")
		}
		direct := func() { wantVia(t, p.LAN, netip.AddrPortFrom(p.Client4, port), u.Addr4.String()+" via ") }
		p.hang(t, process, true)
		p.awaitProxies(t, "web", uplinks.ProxyNotAnswering)
		direct()
		p.Must(0, "plan") // which asks the proxy too
		if output := strings.Join(strings.Fields(p.Run("status").Stdout), " "); !strings.Contains(output, "(http://127.0.0.1:8404/alive: no answer within 1s): new connections pass") {
			t.Errorf("status prints\n%s", output)
		}
		p.hang(t, process, false)
		p.awaitProxies(t, "web", uplinks.ProxyListening)
		wantVia(t, p.LAN, netip.AddrPortFrom(p.Client4, port), u.Addr4.String()+" via haproxy")
		stop()
		p.awaitProxies(t, "web", uplinks.ProxyNobody)
		direct()
	})
}

func TestNginxOfThePageConnectsAsItsClients(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings[1] = "[intercept]\nreturn = true"
		p.Configure(p.Uplinks...)
		const port = 8081
		serveVia(t, p.LAN, port)
		dir := p.Dir
		main := fmt.Sprintf("user root; daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+
			"client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", dir, pageBlock(t, "nginx"))
		config := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(config, []byte(main), 0o600); err != nil {
			t.Fatal(err)
		}
		p.RunProgram(t, "nginx", "-c", config)
		p.Apply()
		for _, u := range p.Uplinks {
			for _, a := range u.Addrs() {
				wantVia(t, p.Client, netip.AddrPortFrom(a, 8080), p.ClientAddr(a).String()+" via nginx")
			}
		}
	})
}
