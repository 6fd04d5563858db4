package pair

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// shippedFile returns the text of a file of etc/pair.
func shippedFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../etc/pair", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startBalancer starts a service with the uplinks fibre and lte, a web server on port 8089, and a program on the gateway with this
// configuration.
func startBalancer(t *testing.T, configuration string, command ...string) *box.Box {
	t.Helper()
	b := box.New(t, world.TwoISPs(t))
	var text strings.Builder
	for i, name := range []string{"fibre", "lte"} {
		u := b.Uplinks[i]
		fmt.Fprintf(&text, "[uplinks.%s]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", name, i+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	b.Write(text.String())
	b.Start()
	b.AwaitUp()
	var listener net.Listener
	var err error
	b.Gateway.Do(func() { listener, err = net.Listen("tcp", "127.0.0.1:8089") })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	config := filepath.Join(b.Dir, "balancer")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := b.Gateway.Command(context.Background(), command[0], append(command[1:], config)...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s: %s", command[0], text)
		}
	})
	return b
}

// awaitCode waits until a request of the balancer is answered with the status code.
func awaitCode(t *testing.T, b *box.Box, url string, want int) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, fmt.Sprintf("%s is answered with %d", url, want), func() bool {
		code, _ := box.GetFrom(t, b.Gateway, url)
		return code == want
	})
}

func TestHAProxyFollowsTheUplinks(t *testing.T) {
	t.Parallel()
	b := startBalancer(t, shippedFile(t, "haproxy.cfg"), "haproxy", "-db", "-f")
	const fibre, lte = "http://127.0.0.1:8088/fibre", "http://127.0.0.1:8088/lte"
	awaitCode(t, b, fibre, 200)
	awaitCode(t, b, lte, 200)
	b.Shell("ip link set eth0 down")
	awaitCode(t, b, fibre, 503)
	awaitCode(t, b, lte, 200)
	b.Shell("ip link set eth1 down")
	awaitCode(t, b, lte, 503)
}

// The file asks in HTTP/1.1; 1.0 is what nginx speaks without that line.
func TestNginxFollowsTheUplinks(t *testing.T) {
	t.Parallel()
	file := shippedFile(t, "nginx.conf")
	older := strings.Replace(file, "proxy_http_version 1.1;", "", 1)
	if older == file {
		t.Fatal("the file does not ask in HTTP/1.1")
	}
	for version, configuration := range map[string]string{"1.1": file, "1.0": older} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			b := startBalancer(t, configuration, "nginx", "-e", "stderr", "-p", dir, "-g", "daemon off; pid "+dir+"/pid; error_log stderr;", "-c")
			const lte = "http://127.0.0.1:8087/lte"
			awaitCode(t, b, lte, 200)
			b.Shell("ip link set eth0 down")
			awaitCode(t, b, lte, 200)
			b.Shell("ip link set eth1 down")
			awaitCode(t, b, lte, 503)
		})
	}
}
